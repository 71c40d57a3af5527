"""Mesh of a GRIB message: its points and their order, by flag table 3.4 of WMO's Manual on Codes 306.

Edition 1 has room for three decimals of a degree: rows 1.40625° apart are written as 1.406° apart, and
coordinates computed from that drift by 0.06° over a grid. Coordinates are therefore never taken from a message:
the grid asked for is given, and corners and shape of a message must agree with it as closely as rounding allows.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from lara.grid import Grid


class GribError(ValueError):
    """A GRIB file is broken, incomplete, or not what was asked for."""


@dataclass(frozen=True)
class Mesh:
    """Where the points of a message lie: shape (rows, columns), edges as written (degrees), order of points."""

    kind: str
    shape: tuple[int, int]
    north_south: tuple[float, float]
    west_east: tuple[float, float]
    decimals: int
    scan: int

    def __str__(self) -> str:
        (north, south), (west, east) = self.north_south, self.west_east
        return f"{self.kind} {self.shape[0]}x{self.shape[1]}, {north:g} to {south:g} N, {west:g} to {east:g} E"

    @property
    def size(self) -> int:
        """Number of points."""
        return self.shape[0] * self.shape[1]

    def columns_east(self, grid: Grid) -> int:
        """Columns by which the first one lies east of that of `grid`. Raises GribError for any other grid."""
        step, digit = 360.0 / grid.shape[1], 10.0**-self.decimals
        shift = round((self.west_east[0] - grid.longitude[0]) / step)
        gaps = {
            "first row": self.north_south[0] - grid.latitude[0],
            "last row": self.north_south[1] - grid.latitude[-1],
            "first column": _turn(self.west_east[0] - grid.longitude[0] - shift * step),
            "last column": _turn(self.west_east[1] - grid.longitude[-1] - shift * step),
        }
        slack = dict.fromkeys(gaps, digit)
        slack["last row"] += self._rounding(grid.latitude[0] - grid.latitude[1]) if self.kind == "equiangular" else 0.0
        slack["last column"] += self._rounding(step)
        wrong = [f"{name} off by {gap:.4g}°" for name, gap in gaps.items() if abs(gap) > slack[name]]
        if (self.kind, self.shape) != (grid.kind, grid.shape) or wrong:
            raise GribError(self._misfit(grid, wrong))
        return shift % grid.shape[1]

    def field(self, values: Float32[np.ndarray, " points"]) -> Float32[np.ndarray, "latitude longitude"]:
        """Values in the order of the message as rows from north to south, columns from west to east."""
        if not self.scan:  # as ECMWF writes them
            return values.reshape(self.shape)
        i_negative, j_positive, j_consecutive, alternating = (bool(self.scan & bit) for bit in (128, 64, 32, 16))
        lines = values.reshape(self.shape[::-1] if j_consecutive else self.shape)
        if alternating:
            lines = lines.copy()
            lines[1::2] = lines[1::2, ::-1]
        rows = lines.T if j_consecutive else lines
        return rows[:: -1 if j_positive else 1, :: -1 if i_negative else 1]

    def _rounding(self, step: float) -> float:
        """How far a last point may be off that was computed from a rounded step, degrees."""
        return abs(round(step, self.decimals) - step) * (max(self.shape) - 1)

    def _misfit(self, grid: Grid, wrong: list[str]) -> str:
        rows, columns = grid.shape
        poles = "; ECMWF's regular grids hold both poles, so ask for those and regrid"
        hint = poles if self.kind == "equiangular" and abs(grid.latitude[0]) < 90 else ""
        asked = f"{grid.kind} {rows}x{columns}, {grid.latitude[0]:g} to {grid.latitude[-1]:g} N"
        return f"lies on another grid ({self}) than asked for ({asked}){': ' if wrong else ''}{', '.join(wrong)}{hint}"


def _turn(degrees: float) -> float:
    """The same angle in [-180, 180)."""
    return (degrees + 180.0) % 360.0 - 180.0
