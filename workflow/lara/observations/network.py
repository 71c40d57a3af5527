"""A fixed network of observing sites: upper-air columns and surface stations, densest over northern land.

Sites are drawn from a density on the sphere (per unit area: northern land 10, other land 4, sea and
Antarctica 1), at most one of each type in a grid cell, as thinning leaves them. It stands in for the real
network in twin experiments, so land is only a dozen boxes drawn by hand: coarse, but enough to leave the
oceans and the south as poorly observed as they are.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from lara.grid import Grid

LAND = {  # (south, north, west, east) in degrees; east may exceed 360 to pass the Greenwich meridian
    "Alaska and Canada": (52, 70, 195, 300),
    "North America": (30, 52, 236, 290),
    "Mexico and Central America": (9, 30, 252, 275),
    "Greenland": (60, 83, 305, 338),
    "South America, north": (-20, 10, 283, 322),
    "South America, south": (-54, -20, 287, 308),
    "Europe": (36, 70, 351, 400),
    "North Africa": (5, 36, 345, 395),
    "Southern Africa": (-34, 5, 370, 402),
    "Middle East and India": (10, 40, 35, 88),
    "Siberia": (50, 74, 40, 180),
    "Central and East Asia": (22, 50, 60, 122),
    "South-east Asia": (-8, 22, 95, 122),
    "Australia": (-38, -12, 114, 153),
    "Antarctica": (-90, -70, 0, 360),
}
NORTHERN_LAND, OTHER_LAND, ELSEWHERE = 4.0, 2.0, 1.0
NORTHERN, ANTARCTIC = 20.0, -60.0  # degrees north
CANDIDATES_PER_SITE = 100


def is_land(latitude: Float[np.ndarray, " n"], longitude: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Whether each point (degrees north, degrees east) lies in one of the boxes of `LAND`."""
    inside = [
        (south <= latitude) & (latitude <= north) & ((longitude - west) % 360 <= east - west)
        for south, north, west, east in LAND.values()
    ]
    return np.any(inside, axis=0)


def density(latitude: Float[np.ndarray, " n"], longitude: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Relative number of sites per unit area at each point (degrees north, degrees east)."""
    land = is_land(latitude, longitude) & (latitude > ANTARCTIC)
    return np.where(land, np.where(latitude > NORTHERN, NORTHERN_LAND, OTHER_LAND), ELSEWHERE)


def draw_network(
    grid: Grid, n_columns: int, n_surface: int, withheld_fraction: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Sites (station, type, latitude, longitude, withheld) of type column and surface.

    Coordinates are degrees north and degrees east in [0, 360). `withheld_fraction` of either type, chosen at
    random, is kept from the analysis for verification. ValueError when the grid has too few cells for them.
    """
    if not 0 <= withheld_fraction < 1:
        raise ValueError(f"withheld_fraction = {withheld_fraction}: the share of sites kept back must lie in [0, 1)")
    parts = [
        _draw_sites(grid, kind, number, withheld_fraction, rng)
        for kind, number in (("column", n_columns), ("surface", n_surface))
    ]
    return pd.concat(parts, ignore_index=True)


def _draw_sites(grid: Grid, kind: str, number: int, withheld_fraction: float, rng: np.random.Generator) -> pd.DataFrame:
    latitude, longitude = _candidates(CANDIDATES_PER_SITE * number, rng)
    index, weight = grid.interpolation(latitude, longitude)
    cell = np.take_along_axis(index, weight.argmax(axis=1)[:, None], axis=1)[:, 0]
    first = np.sort(np.unique(cell, return_index=True)[1])[:number]
    if first.size < number:
        raise ValueError(f"{number} {kind} sites do not fit on a {grid.shape} grid at one per cell: ask for fewer")
    withheld = np.zeros(number, dtype=bool)
    withheld[rng.choice(number, round(withheld_fraction * number), replace=False)] = True
    return pd.DataFrame(
        {
            "station": [f"{kind}{i:04d}" for i in range(number)],
            "type": kind,
            "latitude": latitude[first],
            "longitude": longitude[first],
            "withheld": withheld,
        }
    )


def _candidates(number: int, rng: np.random.Generator) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """At most `number` points on the sphere, drawn uniformly and thinned to the density by rejection."""
    latitude = np.rad2deg(np.arcsin(rng.uniform(-1, 1, number)))
    longitude = rng.uniform(0, 360, number)
    kept = rng.uniform(0, NORTHERN_LAND, number) < density(latitude, longitude)
    return latitude[kept], longitude[kept]
