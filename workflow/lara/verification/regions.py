"""Weighting: shares of area by region. A region's mean of a field is the sum of the field times its shares.

Regions are those of ECMWF's and WeatherBench 2's scores (Rasp et al. 2024, doi:10.1029/2023MS004019): the hemispheres
poleward of 20° and the tropics between. A row belongs to the region its centre lies in.
"""

import numpy as np
import xarray as xr
from jaxtyping import Float

BOUNDS = {"globe": (-90.0, 90.0), "northern": (20.0, 90.0), "southern": (-90.0, -20.0), "tropics": (-20.0, 20.0)}

QUARTERS = ("00-06", "06-12", "12-18", "18-24")  # of the local day, h


def shares(latitude: Float[np.ndarray, " lat"], area: Float[np.ndarray, "lat lon"]) -> xr.DataArray:
    """Shares (region, latitude, longitude) of cells of `area` (any norm), 1 in sum; latitude in degrees north.

    ValueError for a region without a row.
    """
    parts = []
    for region, (south, north) in BOUNDS.items():
        inside = (latitude >= south) & (latitude <= north)
        if not inside.any():
            raise ValueError(f"no row of the grid lies in region '{region}', {south:g} to {north:g}: use a finer grid")
        chosen = area * inside[:, None]
        parts.append(chosen / chosen.sum())
    return xr.DataArray(np.stack(parts), {"region": list(BOUNDS)}, ("region", "latitude", "longitude"))


def local_times(longitude: Float[np.ndarray, " lon"], area: Float[np.ndarray, "lat lon"], hour: float) -> xr.DataArray:
    """Shares (region, latitude, longitude) of the quarters of the local solar day at an hour UTC, each 1 in sum.

    Longitude in degrees east. ValueError for a quarter without a column.
    """
    quarter = ((hour + np.asarray(longitude) / 15) % 24 // 6).astype(int)
    parts = []
    for number, name in enumerate(QUARTERS):
        chosen = area * (quarter == number)
        if not chosen.any():
            raise ValueError(f"no column of the grid has a local time of {name} h at {hour:g} UTC: use a finer grid")
        parts.append(chosen / chosen.sum())
    return xr.DataArray(np.stack(parts), {"region": list(QUARTERS)}, ("region", "latitude", "longitude"))


def whole(area: Float[np.ndarray, "lat lon"]) -> xr.DataArray:
    """Shares of the globe alone."""
    return xr.DataArray((area / area.sum())[None], {"region": ["globe"]}, ("region", "latitude", "longitude"))
