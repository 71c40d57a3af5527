"""From one global grid to another, by a sparse matrix: y = W x for fields flattened row by row.

Conservative, first order (Jones 1999, doi:10.1175/1520-0493(1999)127<2204:FASOCR>2.0.CO;2):
    W_ji = |cell j ∩ cell i| / |cell j|, so that Σ_j |cell j| y_j = Σ_i |cell i| x_i.
Cells are boxes in (sin φ, λ), where area is plain, so W is the Kronecker product of overlaps of rows in sin φ and
overlaps of columns in λ, on the circle. A row on a pole is a cap.

Bilinear: the four neighbours of each target point; poleward of the last row the row itself.

Both have W ≥ 0 and Σ_i W_ji = 1: no new extremes, nothing negative from what is not, constants stay. Sums run in
float64. Winds are regridded by component, as is customary; in the cap of a pole row these turn with longitude.
"""

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32, Float64

from lara.grid import Grid
from lara.receipts import digest, write_bytes

_ROUNDING = 1e-12  # smaller parts of a cell are rounding errors of edges that coincide


@dataclass(frozen=True)
class Regridding:
    """Linear map W (target points, source points) from fields on `source` to fields on `target`."""

    source: Grid
    target: Grid
    weights: sp.csr_array

    def __call__(self, fields: Float[np.ndarray, "*batch latitude longitude"]) -> Float32[np.ndarray, "*batch y x"]:
        """Fields on the target grid, float32, one at a time. Raises ValueError for another shape than the source's."""
        if fields.shape[-2:] != self.source.shape:
            raise ValueError(f"fields of shape {fields.shape} do not end in the source grid's {self.source.shape}")
        flat = fields.reshape(-1, self.weights.shape[1])
        regridded = np.empty((len(flat), self.weights.shape[0]), np.float32)
        for field, result in zip(flat, regridded, strict=True):
            result[:] = self.weights @ field.astype(np.float64, copy=False)
        return regridded.reshape(*fields.shape[:-2], *self.target.shape)


def regridding(method: str, source: Grid, target: Grid, cache: Path | None = None) -> Regridding:
    """The map by `method` ("conservative" or "bilinear") from `source` to `target`.

    With `cache`, a folder, the weights are kept there in a file named after method, grids and this code, and are
    made anew if that file cannot be read. Raises ValueError for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"regridding {method!r} is unknown; choose one of {', '.join(METHODS)}")
    if cache is None:
        return Regridding(source, target, METHODS[method](source, target))
    identity = [method, source.to_attributes(), target.to_attributes(), digest(Path(__file__))]
    path = cache / f"{method}-{digest(identity)}.npz"
    weights = _load(path, (target.latitude.size * target.longitude.size, source.latitude.size * source.longitude.size))
    if weights is None:
        weights = METHODS[method](source, target)
        _save(path, weights)
    return Regridding(source, target, weights)


def conservative(source: Grid, target: Grid) -> sp.csr_array:
    """Shares of the source cells in the area of each target cell."""
    rows = _row_overlaps(np.sin(np.deg2rad(target.latitude_bounds)), np.sin(np.deg2rad(source.latitude_bounds)))
    columns = _column_overlaps(target.longitude, source.longitude)
    return sp.csr_array(sp.kron(_shares(rows), _shares(columns), format="csr"))


def bilinear(source: Grid, target: Grid) -> sp.csr_array:
    """Weights of the four source points around each target point."""
    latitude, longitude = np.meshgrid(target.latitude, target.longitude, indexing="ij")
    index, weight = source.interpolation(latitude.ravel(), longitude.ravel())
    starts = np.arange(0, index.size + 1, 4)
    weights = sp.csr_array((weight.ravel(), index.ravel(), starts), shape=(len(index), np.prod(source.shape)))
    weights.sum_duplicates()
    weights.eliminate_zeros()
    return weights


METHODS: dict[str, Callable[[Grid, Grid], sp.csr_array]] = {"conservative": conservative, "bilinear": bilinear}


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


def _save(path: Path, weights: sp.csr_array) -> None:
    buffer = io.BytesIO()
    sp.save_npz(buffer, weights)
    write_bytes(path, buffer.getvalue())


def _load(path: Path, shape: tuple[int, int]) -> sp.csr_array | None:
    """Weights kept at `path`; None where there are none, or none of this shape that can be read."""
    try:
        weights = sp.csr_array(sp.load_npz(io.BytesIO(path.read_bytes())))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return weights if weights.shape == shape else None
