"""Latitude-longitude grids: exact cell areas and bilinear interpolation.

A cell between latitudes φ₁ > φ₂ and longitudes λ₁ < λ₂ has area a² (sin φ₁ − sin φ₂)(λ₂ − λ₁). Equiangular
cells end half way between rows. Gaussian rows are the zeros μ_k of the Legendre polynomial P_n (μ = sin φ)
with quadrature weights w_k, Σ w_k = 2; their cells end where the weights cumulate, sin φ_{k+½} = 1 − Σ_{j≤k}
w_j, so that area equals quadrature weight (Hortal and Simmons 1991,
doi:10.1175/1520-0493(1991)119<1057:UORGGI>2.0.CO;2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

KINDS = ("gaussian", "equiangular")
_TOLERANCE = 1e-3  # degrees; coordinates that went through float32 or GRIB still match


@dataclass(frozen=True, eq=False)
class Grid:
    """A global grid with rows from north to south.

    Attributes: `kind` "gaussian" or "equiangular"; `latitude` (nlat,) degrees north, decreasing; `longitude`
    (nlon,) degrees east, increasing in equal steps that close the circle. Raises ValueError for anything
    else.
    """

    kind: str
    latitude: Float[np.ndarray, " nlat"]
    longitude: Float[np.ndarray, " nlon"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "latitude", _frozen(self.latitude))
        object.__setattr__(self, "longitude", _frozen(self.longitude))
        if self.kind not in KINDS:
            raise ValueError(f"grid kind {self.kind!r} is unknown; choose one of {KINDS}")
        _check_latitude(self.kind, self.latitude)
        _check_longitude(self.longitude)

    @classmethod
    def gaussian(cls, nlat: int, nlon: int) -> "Grid":
        """Gaussian grid of `nlat` Legendre zeros and `nlon` equally spaced longitudes from 0° E."""
        return cls("gaussian", _gaussian_latitude(nlat), _longitude(nlon))

    @classmethod
    def equiangular(cls, nlat: int, nlon: int, poles: bool = False) -> "Grid":
        """Equal steps in latitude: cell centres, or with `poles` rows from 90° N to 90° S."""
        if nlat < 2:
            raise ValueError(f"a grid needs at least 2 latitudes, not {nlat}")
        step = 180.0 / (nlat - 1 if poles else nlat)
        return cls("equiangular", 90.0 - step * (np.arange(nlat) + (0.0 if poles else 0.5)), _longitude(nlon))

    @property
    def shape(self) -> tuple[int, int]:
        """(nlat, nlon)."""
        return self.latitude.size, self.longitude.size

    @property
    def latitude_bounds(self) -> Float[np.ndarray, "nlat 2"]:
        """Northern and southern edge of every row, degrees north."""
        if self.kind == "gaussian":
            weights = np.polynomial.legendre.leggauss(self.latitude.size)[1]
            inner = np.rad2deg(np.arcsin(1.0 - np.cumsum(weights)[:-1]))
        else:
            inner = 0.5 * (self.latitude[1:] + self.latitude[:-1])
        edges = np.concatenate([[90.0], inner, [-90.0]])
        return np.stack([edges[:-1], edges[1:]], axis=1)

    @property
    def longitude_bounds(self) -> Float[np.ndarray, "nlon 2"]:
        """Western and eastern edge of every column, degrees east (the first may start below zero)."""
        half = 180.0 / self.longitude.size
        return np.stack([self.longitude - half, self.longitude + half], axis=1)

    @property
    def area_weights(self) -> Float[np.ndarray, "nlat nlon"]:
        """Exact cell areas divided by their mean, float64."""
        sine = np.sin(np.deg2rad(self.latitude_bounds))
        height = sine[:, 0] - sine[:, 1]
        return np.repeat(height[:, None] / height.mean(), self.longitude.size, axis=1)

    @property
    def area_shares(self) -> Float[np.ndarray, "nlat nlon"]:
        """The same divided by their sum: weights of an area mean, float64."""
        return self.area_weights / self.area_weights.sum()

    def to_attributes(self) -> dict[str, Any]:
        """JSON-able description; `from_attributes` restores it exactly."""
        return {"kind": self.kind, "latitude": self.latitude.tolist(), "longitude": self.longitude.tolist()}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> "Grid":
        """Grid described by `to_attributes`. Raises KeyError or ValueError for absent or wrong entries."""
        return cls(attributes["kind"], np.asarray(attributes["latitude"]), np.asarray(attributes["longitude"]))

    def interpolation(
        self, latitude: ArrayLike, longitude: ArrayLike
    ) -> tuple[Int[np.ndarray, "n 4"], Float[np.ndarray, "n 4"]]:
        """Flat indices and bilinear weights of n points (degrees): x(point) = Σ_j weight_j x_flat[index_j].

        Periodic in longitude; poleward of the last row the row itself is used. Weights are ≥ 0 and sum to 1.
        Raises ValueError for coordinates that are not finite or latitudes outside [−90, 90].
        """
        latitude, longitude = _check_points(latitude, longitude)
        row, south = _bracket(-self.latitude, -latitude)
        circle = np.append(self.longitude, self.longitude[0] + 360.0)
        column, east = _bracket(circle, self.longitude[0] + np.mod(longitude - self.longitude[0], 360.0))
        columns = np.stack([column, (column + 1) % self.longitude.size], axis=1)
        index = np.concatenate([row[:, None] * self.longitude.size, (row[:, None] + 1) * self.longitude.size], axis=1)
        flat = index[:, [0, 0, 1, 1]] + columns[:, [0, 1, 0, 1]]
        weight = np.stack([(1 - south) * (1 - east), (1 - south) * east, south * (1 - east), south * east], axis=1)
        return flat, weight

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, bytes, bytes]:
        return self.kind, self.latitude.tobytes(), self.longitude.tobytes()


def _frozen(values: np.ndarray) -> np.ndarray:
    copy = np.array(values, dtype=np.float64)
    copy.setflags(write=False)
    return copy


def _gaussian_latitude(nlat: int) -> Float[np.ndarray, " nlat"]:
    return -np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(nlat)[0]))


def _longitude(nlon: int) -> Float[np.ndarray, " nlon"]:
    return np.arange(nlon) * (360.0 / nlon)


def _check_latitude(kind: str, latitude: np.ndarray) -> None:
    if latitude.ndim != 1 or latitude.size < 2 or np.any(np.abs(latitude) > 90) or not np.all(np.diff(latitude) < 0):
        raise ValueError(f"latitude must be 2 or more values in [-90, 90], decreasing from north to south: {latitude}")
    if kind == "gaussian" and np.abs(latitude - _gaussian_latitude(latitude.size)).max() > _TOLERANCE:
        raise ValueError(f"not the Gaussian latitudes of {latitude.size} rows, use kind 'equiangular': {latitude}")


def _check_longitude(longitude: np.ndarray) -> None:
    if longitude.ndim != 1 or longitude.size < 1:
        raise ValueError(f"longitude must be a non-empty vector, not of shape {longitude.shape}")
    if np.abs(longitude - longitude[0] - _longitude(longitude.size)).max() > _TOLERANCE:
        raise ValueError(f"longitude must increase in equal steps of {360.0 / longitude.size} degrees: {longitude}")


def _check_points(latitude: ArrayLike, longitude: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    latitude, longitude = np.asarray(latitude, dtype=np.float64), np.asarray(longitude, dtype=np.float64)
    if latitude.ndim != 1 or latitude.shape != longitude.shape:
        raise ValueError(f"latitude {latitude.shape} and longitude {longitude.shape} must be vectors of one length")
    wrong = ~(np.isfinite(longitude) & (np.abs(latitude) <= 90))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"point {first} is not on the sphere: latitude {latitude[first]}, longitude {longitude[first]}"
        )
    return latitude, longitude


def _bracket(nodes: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index i and fraction t with point = (1 − t) nodes[i] + t nodes[i+1], t clamped to [0, 1]."""
    index = np.clip(np.searchsorted(nodes, points, side="right") - 1, 0, nodes.size - 2)
    fraction = (points - nodes[index]) / (nodes[index + 1] - nodes[index])
    return index, np.clip(fraction, 0.0, 1.0)
