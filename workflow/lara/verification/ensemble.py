"""Scores of an ensemble of m members against a truth, kept as sums so that any split in time scores the same.

With members x_i, their mean x̄, area mean <.> and sums over n states,

    spread² = sum <1/(m-1) sum_i (x_i - x̄)²> / n,   RMSE² = sum <(x̄ - x_true)²> / n,
    ratio   = sqrt((m+1)/m) spread / RMSE,                                                  1 where reliable
    CRPS    = 1/m sum_i |x_i - x_true| - 1/(2m(m-1)) sum_ij |x_i - x_j|                     fair: any m, same mean

(spread and ratio: Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1; fair CRPS: Ferro 2014, doi:10.1002/qj.2270).
The truth's rank among the members is uniform on 0 .. m where they are drawn from one distribution (Hamill 2001,
doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2). With f_k the frequency of rank k,

    reliability index = sum_k |f_k - 1/(m+1)|              (Delle Monache et al. 2006, doi:10.1029/2005JD006917)
    flatness          = (m+1) sum_k (f_k - 1/(m+1))²       Pearson's chi-square over the number of cases

are 0 where the histogram is flat. Neighbouring points are not independent cases: neither is a test by itself.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int

from lara.verification.significance import block_bootstrap

PREFIX = "ensemble"
SUMS = ("variance", "squared_error", "crps")


def sums(
    members: Float[np.ndarray, "member time channel lat lon"],
    truth: Float[np.ndarray, "time channel lat lon"],
    shares: xr.DataArray,
    times: np.ndarray,
    channels: Sequence[str],
    generator: Callable[[str], np.random.Generator],
) -> xr.Dataset:
    """The sums above for each time alone: SUMS (region, time, channel), `ranks` (…, rank) and `count` (time).

    Members and truth share SI units; `shares` (region, latitude, longitude) are those of `regions`. A truth that
    equals members takes one of its ranks at random: `generator` gives the stream of a time ("2001-01-01T06:00"), so
    that ties do not depend on how time is cut. ValueError for fewer than two members, shapes that differ and fields
    that are not finite.
    """
    _check(members, truth, (len(times), len(channels), *shares.shape[1:]))
    stamps, share = np.asarray(times, "datetime64[ns]"), shares.values
    found = np.empty((len(SUMS), len(share), len(times), len(channels)))
    ranks = np.empty((len(share), len(times), len(channels), len(members) + 1))
    for i, stamp in enumerate(stamps):
        ensemble, target = np.sort(members[:, i].astype(np.float64), axis=0), truth[i].astype(np.float64)
        found[:, :, i] = np.einsum("scyx,ryx->src", _scores(ensemble, target), share)
        rank = _rank(ensemble, target, generator(str(stamp.astype("datetime64[m]"))))
        ranks[:, i] = [[np.bincount(r.ravel(), part.ravel(), len(members) + 1) for r in rank] for part in share]
    dims = ("region", "time", "channel")
    fields: dict[str, Any] = {name: (dims, table) for name, table in zip(SUMS, found, strict=True)}
    fields |= {"ranks": ((*dims, "rank"), ranks), "count": (("time",), np.ones(len(times)))}
    labels: dict[str, Any] = {"region": shares["region"].values, "rank": np.arange(len(members) + 1)}
    return xr.Dataset(fields).assign_coords(time=stamps, channel=list(channels), **labels)


def _check(members: np.ndarray, truth: np.ndarray, expected: tuple[int, ...]) -> None:
    if len(members) < 2:
        raise ValueError(f"an ensemble of {len(members)} members has no spread; give at least 2")
    for name, shape in (("members (each)", members.shape[1:]), ("truth", truth.shape)):
        if shape != expected:
            raise ValueError(f"{name} have shape {shape}; times, channels and area weights say {expected}")
    for name, array in (("members", members), ("truth", truth)):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} hold NaN or infinite values, which have no rank; score the whole states only")


def _scores(ordered: Float[np.ndarray, "member ..."], truth: Float[np.ndarray, "..."]) -> Float[np.ndarray, "sum ..."]:
    """Variance, squared error of the mean and fair CRPS of members in ascending order, at each point."""
    m = len(ordered)
    weight = (2.0 * np.arange(1, m + 1) - m - 1) / (m * (m - 1))  # sum_ij |x_i - x_j| = 2 sum_i (2i - m - 1) x_(i)
    difference = np.abs(ordered - truth).mean(axis=0) - np.tensordot(weight, ordered, 1)
    return np.stack([ordered.var(axis=0, ddof=1), (ordered.mean(axis=0) - truth) ** 2, difference])


def _rank(
    members: Float[np.ndarray, "member ..."], truth: Float[np.ndarray, "..."], rng: np.random.Generator
) -> Int[np.ndarray, "..."]:
    below, ties = (members < truth).sum(axis=0), (members == truth).sum(axis=0)
    return below + rng.integers(0, ties, endpoint=True)


def finish(sums: xr.Dataset) -> xr.Dataset:
    """Of summed sums, on whatever dimensions are left: the scores of the ensemble.

    `spread`, `rmse`, `crps` (SI), `ratio`, `reliability_index`, `flatness` (1), `frequency` (..., rank), which adds
    up to 1.
    """
    frequency = sums["ranks"] / sums["count"]
    excess = frequency - 1 / frequency.sizes["rank"]
    spread, rmse = ((sums[name] / sums["count"]) ** 0.5 for name in ("variance", "squared_error"))
    return xr.Dataset(
        {
            "spread": spread,
            "rmse": rmse,
            "crps": sums["crps"] / sums["count"],
            "ratio": _ratio(sums["variance"], sums["squared_error"], members_of(sums)),
            "frequency": frequency,
            "reliability_index": abs(excess).sum("rank"),
            "flatness": frequency.sizes["rank"] * (excess**2).sum("rank"),
        }
    )


def members_of(sums: xr.Dataset) -> int:
    """Number of members m; the truth has one rank more."""
    return sums.sizes["rank"] - 1


def evaluate(sums: xr.Dataset, begin: np.datetime64, block: int, rng: np.random.Generator) -> xr.Dataset:
    """`spread`, `rmse`, `ratio` of the globe at every time; over time >= `begin` the `mean_...` of all scores.

    `sums` is (region, time, channel[, rank]), `mean_...` (region, channel[, rank]). `low` and `high` (channel) are the
    ends of the block-bootstrap interval of the globe's `mean_ratio`, spread and error resampled in pairs. attrs `n`,
    `members`, `confidence`, `evaluation_begin`.
    """
    means = finish(sums.sel(time=slice(begin, None)).sum("time"))
    sums = sums.sel(region="globe", drop=True)
    scored, members = sums.sel(time=slice(begin, None)), members_of(sums)
    pairs = np.stack([scored[name].transpose("time", "channel") for name in ("variance", "squared_error")], axis=1)
    interval = block_bootstrap(pairs, block, rng, lambda mean: _ratio(mean[0], mean[1], members))
    shown = finish(sums)[["spread", "rmse", "ratio"]].merge(means.rename({name: f"mean_{name}" for name in means}))
    attributes = {"n": scored.sizes["time"], "members": members, "confidence": 0.95, "block": block}
    ends = {"low": ("channel", interval.low), "high": ("channel", interval.high)}
    return shown.assign(ends).assign_attrs(attributes, evaluation_begin=pd.Timestamp(begin).isoformat())


def _ratio(variance: Any, squared_error: Any, members: int) -> Any:
    return ((members + 1) / members * variance / squared_error) ** 0.5
