"""Confidence intervals that respect correlation in time: the moving-block bootstrap.

A series of n values is rebuilt from blocks of `block` neighbours drawn with replacement, so that the
dependence within a block survives (Künsch 1989, doi:10.1214/aos/1176347265). The block must span the
decorrelation time of the series: for scores of a cycled analysis take 3 to 5 days (12 to 20 six-hourly
values), for forecasts started m hours apart about 5 days / m. Of 30 days only a handful of independent blocks
remain, and the interval is itself uncertain; with fewer than two blocks it is refused.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int


class Interval(NamedTuple):
    """A mean, or a function of it, and the two ends of its confidence interval."""

    mean: Float[np.ndarray, "..."]
    low: Float[np.ndarray, "..."]
    high: Float[np.ndarray, "..."]


def block_bootstrap(
    series: Float[np.ndarray, "time ..."],
    block: int,
    rng: np.random.Generator,
    of_mean: Callable[[np.ndarray], np.ndarray] = np.asarray,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """`of_mean` of the mean of `series` over its first axis with a percentile interval; other axes stay together.

    To compare two experiments put them on one axis (same times) and let `of_mean` take their difference, which is
    significant where the interval excludes 0. ValueError when the series is shorter than two blocks.
    """
    if len(series) < 2 * block:
        raise ValueError(
            f"a series of {len(series)} values holds fewer than two blocks of {block}: take a shorter block"
        )
    drawn = _resampled(len(series), block, rng, resamples)
    means = np.stack([of_mean(series[index].mean(axis=0)) for index in drawn])
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return Interval(of_mean(series.mean(axis=0)), low, high)


def _resampled(length: int, block: int, rng: np.random.Generator, resamples: int) -> Int[np.ndarray, "resample time"]:
    blocks = -(-length // block)
    start = rng.integers(0, length - block + 1, (resamples, blocks, 1))
    return (start + np.arange(block)).reshape(resamples, -1)[:, :length]


def rmse_interval(
    squared_error: xr.DataArray, block: int, rng: np.random.Generator, dim: str = "init_time"
) -> xr.Dataset:
    """`rmse`, `low`, `high` of area-mean squared errors over `dim`; attrs `n`, `block`, `confidence`.

    `squared_error` is e.g. (source, init_time, lead_time, channel). All sources, leads and channels are
    resampled alike, so that their differences stay paired.
    """
    series = squared_error.transpose(dim, ...)
    interval = block_bootstrap(series.values, block, rng)
    left = series.isel({dim: 0}, drop=True)
    fields = {
        name: left.copy(data=np.sqrt(value)) for name, value in zip(("rmse", "low", "high"), interval, strict=True)
    }
    return xr.Dataset(fields, attrs={"n": series.sizes[dim], "block": block, "confidence": 0.95})


def rmse_difference(
    first: xr.DataArray, second: xr.DataArray, block: int, rng: np.random.Generator, dim: str = "time"
) -> xr.Dataset:
    """RMSE of `first` less RMSE of `second` over `dim`: `difference`, `low`, `high`; attrs as `rmse_interval`.

    Both are area-mean squared errors at the same times, which are resampled in pairs; ValueError when they are not.
    """
    if not np.array_equal(first[dim].values, second[dim].values):
        raise ValueError(f"scores to be paired are not of the same {dim}: select those they share")
    one, other = first.transpose(dim, ...), second.transpose(dim, ...)
    pairs = np.stack([one.values, other.values], axis=1)
    interval = block_bootstrap(pairs, block, rng, lambda mean: np.sqrt(mean[0]) - np.sqrt(mean[1]))
    left = one.isel({dim: 0}, drop=True)
    names = ("difference", "low", "high")
    fields = {name: left.copy(data=value) for name, value in zip(names, interval, strict=True)}
    return xr.Dataset(fields, attrs={"n": first.sizes[dim], "block": block, "confidence": 0.95})


def evaluate(squared_error: xr.DataArray, begin: np.datetime64, block: int, rng: np.random.Generator) -> xr.Dataset:
    """`rmse` at every time; `mean`, `low`, `high` over time >= `begin`, the end of the spin-up.

    `squared_error` is (experiment, time, channel), area means; all results are its square roots.
    """
    interval = rmse_interval(squared_error.sel(time=slice(begin, None)), block, rng, dim="time")
    attributes = {**interval.attrs, "evaluation_begin": pd.Timestamp(begin).isoformat()}
    return interval.rename(rmse="mean").assign(rmse=np.sqrt(squared_error)).assign_attrs(attributes)
