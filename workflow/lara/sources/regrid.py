"""From one global grid to another: y = R x Cᵀ for fields x of rows and columns, R and C sparse.

Conservative, first order (Jones 1999, doi:10.1175/1520-0493(1999)127<2204:FASOCR>2.0.CO;2):
    W_ji = |cell j ∩ cell i| / |cell j|, so that Σ_j |cell j| y_j = Σ_i |cell i| x_i.
Cells are boxes in (sin φ, λ), where area is plain, so W is the Kronecker product R ⊗ C of overlaps of rows in sin φ and
overlaps of columns in λ, on the circle. A row on a pole is a cap.

Bilinear: the four neighbours of each target point; poleward of the last row the row itself. Also such a product.

Both have W ≥ 0 and Σ_i W_ji = 1: no new extremes, nothing negative from what is not, constants stay. Sums of few terms
run in float32, which is what fields and states are, longer ones in float64. Winds are regridded by component, as is
customary; in the cap of a pole row these turn with longitude.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32, Float64

from lara.grid import Grid

_FEW = 8  # terms, over which float32 loses 3e-7 in general
_ROUNDING = 1e-12  # smaller parts of a cell are rounding errors of edges that coincide


@dataclass(frozen=True)
class Regridding:
    """Linear map from fields on `source` to fields on `target`: `rows` R and `columns` C, (target, source) each."""

    source: Grid
    target: Grid
    rows: sp.csr_array
    columns: sp.csr_array

    def __call__(self, fields: Float[np.ndarray, "*batch latitude longitude"]) -> Float32[np.ndarray, "*batch y x"]:
        """Fields on the target grid, float32, one at a time. Raises ValueError for another shape than the source's."""
        if fields.shape[-2:] != self.source.shape:
            raise ValueError(f"fields of shape {fields.shape} do not end in the source grid's {self.source.shape}")
        regridded = np.empty((*fields.shape[:-2], *self.target.shape), np.float32)
        for place in np.ndindex(fields.shape[:-2]):
            self.fill(regridded[place], fields[place].astype(np.float32, copy=False))
        return regridded

    def fill(self, target: Float32[np.ndarray, "y x"], field: Float32[np.ndarray, "latitude longitude"]) -> None:
        """The same of one field, into an array that is there."""
        rows, columns = self._factors
        if rows is not None:
            field = rows @ field
        target[:] = field if columns is None else (columns @ field.T).T

    @cached_property
    def _factors(self) -> tuple[sp.csr_array | None, ...]:
        """R and C in the precision of their sums; None for one that leaves everything as it is."""
        return tuple(None if _is_identity(one) else _precise(one) for one in (self.rows, self.columns))


def regridding(method: str, source: Grid, target: Grid) -> Regridding:
    """The map by `method` ("conservative" or "bilinear"). Raises ValueError for an unknown one."""
    if method not in METHODS:
        raise ValueError(f"regridding {method!r} is unknown; choose one of {', '.join(METHODS)}")
    return Regridding(source, target, *METHODS[method](source, target))


def conservative(source: Grid, target: Grid) -> tuple[sp.csr_array, sp.csr_array]:
    """Shares of the source rows, and columns, in each target row, and column."""
    rows = _row_overlaps(np.sin(np.deg2rad(target.latitude_bounds)), np.sin(np.deg2rad(source.latitude_bounds)))
    columns = _column_overlaps(target.longitude, source.longitude)
    return _shares(rows), _shares(columns)


def bilinear(source: Grid, target: Grid) -> tuple[sp.csr_array, sp.csr_array]:
    """Weights of the two source rows, and columns, around each target row, and column."""
    first_column = np.full_like(target.latitude, source.longitude[0])
    first_row = np.full_like(target.longitude, source.latitude[0])
    width = source.shape[1]
    rows, along_column = source.interpolation(target.latitude, first_column)
    columns, along_row = source.interpolation(first_row, target.longitude)
    return _neighbours(rows // width, along_column, source.shape[0]), _neighbours(columns % width, along_row, width)


METHODS: dict[str, Callable[[Grid, Grid], tuple[sp.csr_array, sp.csr_array]]] = {
    "conservative": conservative,
    "bilinear": bilinear,
}


def _neighbours(index: np.ndarray, weight: Float64[np.ndarray, "target 4"], size: int) -> sp.csr_array:
    """Sparse matrix of weights at positions `index` of `size`; those of one position add up."""
    starts = np.arange(0, index.size + 1, index.shape[1])
    weights = sp.csr_array((weight.ravel(), index.ravel(), starts), shape=(len(index), size))
    weights.sum_duplicates()
    weights.eliminate_zeros()
    return weights


def _row_overlaps(
    target: Float64[np.ndarray, "target 2"], source: Float64[np.ndarray, "source 2"]
) -> Float64[np.ndarray, "target source"]:
    """Lengths in sin φ shared by intervals given as (north, south)."""
    north = np.minimum(target[:, None, 0], source[None, :, 0])
    south = np.maximum(target[:, None, 1], source[None, :, 1])
    return np.maximum(north - south, 0.0)


def _column_overlaps(
    target: Float64[np.ndarray, " target"], source: Float64[np.ndarray, " source"]
) -> Float64[np.ndarray, "target source"]:
    """Lengths shared by columns around these longitudes, degrees; wide columns may meet on both sides."""
    halves = 180.0 / target.size, 180.0 / source.size
    apart = np.abs((target[:, None] - source[None, :] + 180.0) % 360.0 - 180.0)
    sides = [np.clip(sum(halves) - distance, 0.0, 2 * min(halves)) for distance in (apart, 360.0 - apart)]
    return sides[0] + sides[1]


def _shares(overlaps: Float64[np.ndarray, "target source"]) -> sp.csr_array:
    """Overlaps as shares of each target interval."""
    shares = overlaps / overlaps.sum(axis=1, keepdims=True)
    shares[shares < _ROUNDING] = 0.0
    return sp.csr_array(shares / shares.sum(axis=1, keepdims=True))


def _is_identity(matrix: sp.csr_array) -> bool:
    """Whether all rows, or columns, stay what they are."""
    rows, columns = matrix.shape
    return rows == columns and np.array_equal(matrix.indices, np.arange(rows)) and bool((matrix.data == 1).all())


def _precise(matrix: sp.csr_array) -> sp.csr_array:
    """The matrix in float32 where its sums are short."""
    return matrix.astype(np.float32) if np.diff(matrix.indptr).max() <= _FEW else matrix
