"""Thinning and superobbing: at most one observation per variable, level, time slot and cell of about equal area.

R is diagonal, so data closer together than their errors are correlated, or than the grid resolves, would be
over-weighted (Liu and Rabier 2002, Q. J. R. Meteorol. Soc. 128, 1367-1386). `thin` keeps one datum of a cell;
`superob` replaces its n data by their mean with the error of a mean of independent data,

    y = Σ y_i / n,   σ_o² = (Σ σ_i² / n) / n

without a floor, since representation error, which no averaging within a cell removes, is added later with the rest of
R. Rows of cells are about `degrees` high and hold a whole number of cells about as wide at their mid-latitude. Data
that are withheld or already flagged take no part. Neither method depends on the order of the rows.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from lara.observations.flags import Flag
from lara.observations.table import LATITUDE, LONGITUDE, PRESSURE, STATION, STATION_TYPE, TIME

STEP = np.timedelta64(6, "h")
EPOCH = np.datetime64("1970-01-01", "ns")
GROUP = ["variable", PRESSURE, "slot", "row", "column"]


@dataclass(frozen=True)
class Thinning:
    """How to thin: the method, the size of a cell (degrees), the length of a slot, and the time of any one slot."""

    method: Literal["thin", "superob"]
    degrees: float
    step: np.timedelta64 = STEP
    anchor: np.datetime64 = EPOCH

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with data thinned (THINNED), or averaged (SUPEROB) and superobservations at its end."""
        table = table.reset_index(drop=True)
        candidates = table[(table["PreQC"] == Flag.PASS) & ~table["withheld"].astype(bool)]
        placed = _ordered(candidates.assign(**self._places(candidates)))
        return _thin(table, placed) if self.method == "thin" else _superob(table, placed)

    def _places(self, table: pd.DataFrame) -> dict[str, np.ndarray]:
        """Slot and cell (row, column) of every datum, and how far it is from the centres of both."""
        latitude, longitude = table[LATITUDE].to_numpy(), table[LONGITUDE].to_numpy()
        rows = max(1, round(180.0 / self.degrees))
        row = np.minimum(((90.0 - latitude) * rows / 180.0).astype(np.int64), rows - 1)
        middle = 90.0 - (row + 0.5) * 180.0 / rows
        columns = np.maximum(1, np.round(360.0 / self.degrees * np.cos(np.deg2rad(middle)))).astype(np.int64)
        column = np.minimum((longitude * columns / 360.0).astype(np.int64), columns - 1)
        time, slot = table[TIME].to_numpy(), self._slots(table[TIME].to_numpy())
        centre = (column + 0.5) * 360.0 / columns
        return {
            "slot": slot,
            "row": row,
            "column": column,
            "distance": _chord(latitude, longitude, middle, centre),
            "late": np.abs(time - slot),
        }

    def _slots(self, times: np.ndarray) -> np.ndarray:
        """The slot with slot - step/2 <= time < slot + step/2."""
        step, anchor = self.step.astype("timedelta64[ns]"), self.anchor.astype("datetime64[ns]")
        return anchor + (times - anchor + step // 2) // step * step


def _chord(
    latitude: Float[np.ndarray, " p"],
    longitude: Float[np.ndarray, " p"],
    other_latitude: Float[np.ndarray, " p"],
    other_longitude: Float[np.ndarray, " p"],
) -> Float[np.ndarray, " p"]:
    """Straight distance between points on the unit sphere, rounded so that equal distances compare equal."""
    gap = _vectors(latitude, longitude) - _vectors(other_latitude, other_longitude)
    return np.linalg.norm(gap, axis=1).round(9)


def _vectors(latitude: Float[np.ndarray, " p"], longitude: Float[np.ndarray, " p"]) -> Float[np.ndarray, "p 3"]:
    north, east = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=1)


def _ordered(placed: pd.DataFrame) -> pd.DataFrame:
    """Rows by cell, and in each the best first: least error, then nearest to the centre of the cell and of the slot.

    Whatever is left of a tie is settled by content, never by the order of the rows.
    """
    best = ["ObsError", "distance", "late", STATION, TIME, "ObsValue"]
    return placed.sort_values([*GROUP, *best], kind="stable")


def _thin(table: pd.DataFrame, placed: pd.DataFrame) -> pd.DataFrame:
    surplus = placed.index[placed.duplicated(GROUP)]
    return _flagged(table, surplus, Flag.THINNED)


def _superob(table: pd.DataFrame, placed: pd.DataFrame) -> pd.DataFrame:
    crowded = placed[placed.duplicated(GROUP, keep=False)]
    if crowded.empty:
        return table
    flagged = _flagged(table, crowded.index, Flag.SUPEROB)
    return pd.concat([flagged, _means(crowded)[list(table.columns)].astype(table.dtypes)], ignore_index=True)


def _flagged(table: pd.DataFrame, rows: pd.Index, flag: Flag) -> pd.DataFrame:
    return table.assign(PreQC=table["PreQC"].mask(table.index.isin(rows), int(flag)))


def _means(crowded: pd.DataFrame) -> pd.DataFrame:
    """One row for each cell; its place is the direction of the mean vector, its time the mean time."""
    vectors = pd.DataFrame(_vectors(crowded[LATITUDE].to_numpy(), crowded[LONGITUDE].to_numpy()), crowded.index)
    working = crowded.assign(x=vectors[0], y=vectors[1], z=vectors[2], variance=crowded["ObsError"] ** 2)
    working["late"] = working[TIME] - working["slot"]  # short enough for an exact mean, unlike the time itself
    cells = working.groupby(GROUP, dropna=False, sort=False)
    mean = cells[["ObsValue", "x", "y", "z", "variance", "late"]].mean().reset_index()
    longitude = np.rad2deg(np.arctan2(mean["y"], mean["x"])) % 360.0
    names = "superob-" + mean["row"].astype(str) + "-" + mean["column"].astype(str)
    return mean.assign(
        **{
            STATION: names,
            TIME: mean["slot"] + mean["late"],
            STATION_TYPE: cells[STATION_TYPE].min().to_numpy(),
            LATITUDE: np.rad2deg(np.arctan2(mean["z"], np.hypot(mean["x"], mean["y"]))),
            LONGITUDE: longitude.where(longitude < 360.0, 0.0),  # a tiny negative angle rounds to 360
        },
        ObsError=np.sqrt(mean["variance"] / cells.size().to_numpy()),
        PreQC=int(Flag.PASS),
        withheld=False,
    )
