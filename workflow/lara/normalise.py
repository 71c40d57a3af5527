"""Climatological statistics of a training dataset, and the units networks work in.

One pass over the data accumulates, in float64 and relative to the first state s (which avoids cancellation:
Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115), with harmonics h(t) = [1, cos ωt, sin ωt,
cos 2ωt, sin 2ωt], ω = 2π/365.2425 d, G = Σ h hᵀ, P = Σ h (x − s) and squares of x − s and of its changes over
24 h and over one step. Then climatology = s + G⁻¹P (least squares), mean = s + P₀/n, std² = ⟨Σ(x − s)²/n −
(P₀/n)²⟩ and change_std² = ⟨mean of (x(t) − x(t − 24 h))²⟩, ⟨⟩ the area mean. Normalised x_n = (x − mean) /
change_std.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import numpy as np
import torch
from jaxtyping import Float, Float32

from lara import receipts
from lara.state import Channels
from lara.store import StateStore, StoreError, read_arrays

_DAY = np.timedelta64(1, "D")
_EPOCH = np.datetime64("2000-01-01", "ns")
_YEAR = 365.2425  # days
_LEAST_DAYS = 30
_ANNUAL_DAYS = 300  # different days of the year below which the annual cycle cannot be told from noise


@dataclass(frozen=True)
class Statistics:
    """Statistics of states, float64 in SI units (c channels on a y × x grid).

    Attributes: `mean` in time; `climatology` coefficients of the five harmonics (rows 1–4 zero where data
    span less than most of a year); area-weighted `std` about `mean`; root mean square `change_std` over 24 h
    and `tendency_std` over one step; area `global_mean`; `count` times in [`begin`, `end`). Raises ValueError
    naming a channel that never changes.
    """

    channels: Channels
    mean: Float[np.ndarray, "c y x"]
    climatology: Float[np.ndarray, "5 c y x"]
    std: Float[np.ndarray, " c"]
    change_std: Float[np.ndarray, " c"]
    tendency_std: Float[np.ndarray, " c"]
    global_mean: Float[np.ndarray, " c"]
    count: int
    begin: np.datetime64
    end: np.datetime64

    def __post_init__(self) -> None:
        constant = [n for n, s in zip(self.channels.names, self.change_std, strict=True) if not s > 0]
        if constant:
            raise ValueError(f"channels {', '.join(constant)} never change in 24 h and cannot be normalised: drop them")

    def climatology_at(self, times: np.ndarray) -> Float32[np.ndarray, "n c y x"]:
        """Climatological states at `times` (datetime64), SI units."""
        return np.tensordot(_harmonics(times), self.climatology, 1).astype(np.float32)


class Normaliser(torch.nn.Module):
    """Maps states in SI units to anomalies from the grid-point mean in units of the 24 h change, and back.

    Buffers `mean` (c, y, x) and `scale` (c, 1, 1) travel with a network's weights.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(statistics.mean, dtype=torch.float32))
        self.register_buffer("scale", torch.as_tensor(statistics.change_std, dtype=torch.float32)[:, None, None])

    def normalise(self, x: Float[torch.Tensor, "*batch c y x"]) -> Float[torch.Tensor, "*batch c y x"]:
        """(x − mean) / scale."""
        return (x - self.mean) / self.scale

    def denormalise(self, x: Float[torch.Tensor, "*batch c y x"]) -> Float[torch.Tensor, "*batch c y x"]:
        """Mean + scale x, the inverse of `normalise`."""
        return x * self.scale + self.mean


def compute(stores: Sequence[StateStore], days: int = 30) -> Statistics:
    """Statistics over all `stores`, by one dask pass in tasks of `days`; a worker holds a day and a few sums.

    Changes never cross from one store to the next. Raises StoreError when stores differ in channels, grid or
    step, or hold less than 30 days together.
    """
    _require_alike(stores)
    shift = stores[0].read([0])[0].astype(np.float64)
    parts = [
        dask.delayed(_sums)(store, shift, range(first, min(first + days * _per_day(store), len(store))))
        for store in stores
        for first in range(0, len(store), days * _per_day(store))
    ]
    while len(parts) > 1:
        parts = [dask.delayed(_total)(parts[first : first + 4]) for first in range(0, len(parts), 4)]
    return _statistics(stores, shift, parts[0].compute())


def save(statistics: Statistics, path: Path) -> None:
    """Write statistics to an .npz file that exists completely or not at all."""
    arrays = {name: value for name, value in vars(statistics).items() if name != "channels"}
    buffer = io.BytesIO()
    np.savez(buffer, channels=np.array(statistics.channels.names), **arrays)
    receipts.write_bytes(path, buffer.getvalue())


def load(path: Path) -> Statistics:
    """Statistics written by `save`. Raises FileNotFoundError naming the path and the remedy when absent."""
    if not path.exists():
        raise FileNotFoundError(f"no statistics at {path}: rerun the rule that makes them")
    arrays: dict[str, Any] = {**read_arrays(path)}
    channels = Channels.parse(arrays.pop("channels").tolist())
    scalars = {"count": int(arrays["count"]), "begin": arrays["begin"][()], "end": arrays["end"][()]}
    return Statistics(channels, **{**arrays, **scalars})


@dataclass(frozen=True)
class _Sums:
    gram: Float[np.ndarray, "5 5"]  # Σ h hᵀ
    product: Float[np.ndarray, "5 c y x"]  # Σ h (x − s)
    square: Float[np.ndarray, " c"]  # Σ ⟨(x − s)²⟩
    change: Float[np.ndarray, " c"]  # Σ ⟨(x(t) − x(t − 24 h))²⟩
    changes: int
    tendency: Float[np.ndarray, " c"]  # Σ ⟨(x(t) − x(t − step))²⟩
    tendencies: int


def _sums(store: StateStore, shift: Float[np.ndarray, "c y x"], span: range) -> _Sums:
    """Sums over `span`, day by day; changes look back across its beginning, never across the store's."""
    day, weights = _per_day(store), store.grid.area_weights / store.grid.area_weights.size
    previous = store.read(slice(max(span.start - day, 0), span.start)) - shift
    parts = []
    for first in range(span.start, span.stop, day):
        times = slice(first, min(first + day, span.stop))
        current = store.read(times) - shift
        parts.append(_day_sums(_harmonics(store.times[times]), previous, current, weights, day))
        parts = [_total(parts)]
        previous = current
    return parts[0]


def _day_sums(
    harmonics: Float[np.ndarray, "n 5"],
    previous: Float[np.ndarray, "m c y x"],
    current: Float[np.ndarray, "n c y x"],
    weights: Float[np.ndarray, "y x"],
    day: int,
) -> _Sums:
    both = np.concatenate([previous, current])
    change, tendency = both[day:] - both[:-day], np.diff(both[-len(current) - 1 :], axis=0)
    return _Sums(
        harmonics.T @ harmonics,
        np.tensordot(harmonics.T, current, 1),
        _area_squares(current, weights),
        _area_squares(change, weights),
        len(change),
        _area_squares(tendency, weights),
        len(tendency),
    )


def _area_squares(x: Float[np.ndarray, "n c y x"], weights: Float[np.ndarray, "y x"]) -> Float[np.ndarray, " c"]:
    return np.square(x).sum(axis=0).reshape(x.shape[1], -1) @ weights.ravel()


def _total(parts: Sequence[_Sums]) -> _Sums:
    return _Sums(*(sum(terms[1:], start=terms[0]) for terms in zip(*(vars(p).values() for p in parts), strict=True)))


def _statistics(stores: Sequence[StateStore], shift: Float[np.ndarray, "c y x"], sums: _Sums) -> Statistics:
    count, weights = sum(len(store) for store in stores), stores[0].grid.area_weights
    anomaly = sums.product[0] / count
    mean = shift + anomaly
    climatology = np.zeros_like(sums.product)
    climatology[0] = mean
    if _days_of_year(stores) >= _ANNUAL_DAYS:
        climatology = np.linalg.solve(sums.gram, sums.product.reshape(5, -1)).reshape(sums.product.shape)
        climatology[0] += shift
    return Statistics(
        stores[0].channels,
        mean,
        climatology,
        std=np.sqrt(sums.square / count - _area_squares(anomaly[None], weights / weights.size)),
        change_std=np.sqrt(sums.change / sums.changes),
        tendency_std=np.sqrt(sums.tendency / sums.tendencies),
        global_mean=np.tensordot(mean, weights / weights.size, 2),
        count=count,
        begin=min(store.times[0] for store in stores),
        end=max(store.times[-1] + store.step for store in stores),
    )


def _harmonics(times: np.ndarray) -> Float[np.ndarray, "n 5"]:
    angle = 2 * np.pi / _YEAR * ((np.atleast_1d(times) - _EPOCH) / _DAY)
    return np.stack([np.ones_like(angle), *(f(k * angle) for k in (1, 2) for f in (np.cos, np.sin))], axis=1)


def _per_day(store: StateStore) -> int:
    return int(_DAY // store.step)


def _days_of_year(stores: Sequence[StateStore]) -> int:
    times = np.concatenate([store.times for store in stores])
    return np.unique((times.astype("datetime64[D]") - times.astype("datetime64[Y]")).astype(int)).size


def _require_alike(stores: Sequence[StateStore]) -> None:
    for store in stores:
        if store.channels != stores[0].channels or store.grid != stores[0].grid or store.step != stores[0].step:
            raise StoreError(f"{store.path} and {stores[0].path} differ in channels, grid or step")
        if _DAY % store.step:
            raise StoreError(f"{store.path} has a step of {store.step}, which does not divide a day: use 6 h")
    total = sum((len(store) * store.step for store in stores), start=np.timedelta64(0, "D"))
    if total < _LEAST_DAYS * _DAY:
        raise StoreError(
            f"statistics need {_LEAST_DAYS} days or more, not {total / _DAY:g}: lengthen the training period"
        )
