"""Tails: quantiles of anomalies, and extremes found where they are, from counts in fixed bins.

    quantile error = x_q − x_q,true,    EDI = (ln F − ln H) / (ln F + ln H)

x_q of anomalies from the day-of-year climatology in units of the channel's climatological std, interpolated in the
counts; H hit rate and F false alarm rate of |anomaly| beyond a threshold, 2 std above or below (Ferro and Stephenson
2011, doi:10.1175/WAF-D-10-05030.1). EDI is 1 for extremes always found, 0 for chance, whatever their frequency.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

EDGES = np.arange(-8.0, 8.001, 0.1)
QUANTILES = (0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999)
THRESHOLD = 2.0
PREFIX = "tails"
SUMS = ("counts", "truth_counts", "hits", "misses", "false_alarms", "rest")


def sums(
    anomalies: Float[np.ndarray, "time channel lat lon"],
    truth: Float[np.ndarray, "time channel lat lon"],
    share: Float[np.ndarray, "lat lon"],
    times: np.ndarray,
    channels: Sequence[str],
) -> xr.Dataset:
    """Area counted in bins of EDGES (time, channel, bin) and by side of a contingency table (time, channel, side).

    Anomalies in units of the climatological std; beyond the edges they count in the outermost bin. `share` sums to 1.
    ValueError when shapes differ.
    """
    if anomalies.shape != truth.shape or anomalies.shape[:2] != (len(times), len(channels)):
        raise ValueError(f"anomalies {anomalies.shape} and truth {truth.shape} do not fit {len(times)} times")
    shape = (len(times), len(channels))
    counts, sides = np.empty((2, *shape, len(EDGES) - 1)), np.empty((4, *shape, 2))
    for at in np.ndindex(*shape):
        pair = anomalies[at], truth[at]
        for i, field in enumerate(pair):
            inside = np.clip(field, EDGES[0], EDGES[-1] - 1e-6)
            counts[(i, *at)] = np.histogram(inside, EDGES, weights=share)[0]
        for side, sign in enumerate((1.0, -1.0)):
            found, there = (sign * field > THRESHOLD for field in pair)
            cases = (found & there, ~found & there, found & ~there, ~found & ~there)
            sides[(slice(None), *at, side)] = [share[case].sum() for case in cases]
    binned, sided = ("time", "channel", "bin"), ("time", "channel", "side")
    tables = [*counts, *sides]
    dims = [binned, binned, *[sided] * 4]
    fields: dict[str, object] = {name: (d, t) for name, d, t in zip(SUMS, dims, tables, strict=True)}
    fields["count"] = ("time", np.ones(len(times)))
    coordinates = {"time": np.asarray(times, "datetime64[ns]"), "channel": list(channels)}
    return xr.Dataset(fields, {**coordinates, "bin": 0.5 * (EDGES[1:] + EDGES[:-1]), "side": ["above", "below"]})


def finish(sums: xr.Dataset) -> xr.Dataset:
    """`quantile_error` (channel, quantile; std) and `edi` (channel, side; 1).

    The index is 1 in the limit of all hits and no false alarm, NaN without events, and where it has no limit.
    """
    found, true = (_quantiles(sums[name]) for name in ("counts", "truth_counts"))
    hit = sums["hits"] / (sums["hits"] + sums["misses"])
    false = sums["false_alarms"] / (sums["false_alarms"] + sums["rest"])
    usable = (hit > 0) & (false > 0) & (false < 1)
    logs = np.log(false.where(usable)), np.log(hit.where(usable))
    edi = ((logs[0] - logs[1]) / (logs[0] + logs[1])).where(~((hit == 1) & (false == 0)), 1.0)
    return xr.Dataset({"quantile_error": found - true, "edi": edi})


def _quantiles(counts: xr.DataArray) -> xr.DataArray:
    """Quantiles of binned anomalies, linear within a bin."""

    def one(weight: np.ndarray) -> np.ndarray:
        below = np.concatenate([[0.0], np.cumsum(weight) / weight.sum()])
        return np.interp(QUANTILES, below, EDGES)

    found = xr.apply_ufunc(one, counts, input_core_dims=[["bin"]], output_core_dims=[["quantile"]], vectorize=True)
    return found.assign_coords(quantile=list(QUANTILES))
