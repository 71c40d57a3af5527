"""Fields on a plain map with Greenwich in the middle; the only coastline is the model's own land mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh


def centred(field: xr.DataArray) -> xr.DataArray:
    """The field (latitude, longitude) from -180 to 180 degrees east."""
    longitude = (field["longitude"] + 180.0) % 360.0 - 180.0
    return field.transpose("latitude", "longitude").assign_coords(longitude=longitude).sortby("longitude")


def fill(axes: Axes, field: xr.DataArray, low: float, high: float, colours: str = "viridis") -> QuadMesh:
    """Colour the cells of `field` between two limits and label the axes."""
    from matplotlib.colors import Normalize

    field = _closed(field)
    east, north = range(-180, 181, 60), range(-90, 91, 30)
    axes.set(xlim=(-180, 180), ylim=(-90, 90), xticks=east, yticks=north, aspect="equal")
    axes.set_xticklabels([f"{abs(x)}°{'W' if x < 0 else 'E' if x else ''}" for x in east])
    axes.set_yticklabels([f"{abs(y)}°{'S' if y < 0 else 'N' if y else ''}" for y in north])
    axes.grid(visible=False)
    scale = Normalize(low, high)
    return axes.pcolormesh(field["longitude"], field["latitude"], field, norm=scale, cmap=colours, shading="nearest")


def contour(axes: Axes, field: xr.DataArray, levels: Sequence[float], colour: str, width: float) -> None:
    """Contour lines of `field`, closed over the date line."""
    field = _closed(field)
    axes.contour(field["longitude"], field["latitude"], field, levels=levels, colors=colour, linewidths=width)


def _closed(field: xr.DataArray) -> xr.DataArray:
    """The field from Greenwich to either side of the date line, with a column more at both ends."""
    import xarray as xr

    field = centred(field)
    east = field.isel(longitude=[0]).assign_coords(longitude=field["longitude"][:1] + 360.0)
    west = field.isel(longitude=[-1]).assign_coords(longitude=field["longitude"][-1:] - 360.0)
    return xr.concat([west, field, east], "longitude")


def land(fields: xr.Dataset) -> xr.DataArray:
    """Rough land mask (latitude, longitude) where some fields are, that which the network is drawn by."""
    import xarray as xr

    from lara.observations.network import is_land

    latitude, longitude = np.meshgrid(fields["latitude"].values, fields["longitude"].values, indexing="ij")
    mask = is_land(latitude.ravel(), longitude.ravel()).reshape(latitude.shape)
    coordinates = {"latitude": fields["latitude"].values, "longitude": fields["longitude"].values}
    return xr.DataArray(mask.astype(float), coordinates, ("latitude", "longitude"))


def coast(axes: Axes, land: xr.DataArray) -> None:
    """The outline of a land fraction (latitude, longitude)."""
    contour(axes, land, [0.5], "0.35", 0.6)


def sites(axes: Axes, fields: xr.Dataset) -> None:
    """Used sites as dots, withheld ones as open circles; `site_latitude`, `site_longitude`, `site_withheld` (site)."""
    longitude = np.mod(fields["site_longitude"].values + 180.0, 360.0) - 180.0
    for withheld, label in ((False, "used"), (True, "withheld")):
        chosen = fields["site_withheld"].values == withheld
        face = "none" if withheld else "black"
        axes.scatter(
            longitude[chosen],
            fields["site_latitude"].values[chosen],
            s=14 if withheld else 6,
            facecolors=face,
            edgecolors="black",
            linewidths=0.7,
            label=f"{label} ({chosen.sum()})",
        )
