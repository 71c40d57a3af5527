"""Timing errors: the lag at which a series of states agrees best with the truth, zero where times are right.

    MSE(k) = mean over t of ⟨(x(t) − x_true(t + k Δt))²⟩,    lag = argmin_k MSE(k)

Channels count in units of their mean over lags. A lag other than 0 says that times are mislabelled, by that many steps,
which no score at lag 0 can tell from error.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

PREFIX = "lags"
LAGS = (-2, -1, 0, 1, 2)


def sums(
    states: Float[np.ndarray, "time channel lat lon"],
    truth: Float[np.ndarray, "time channel lat lon"],
    share: Float[np.ndarray, "lat lon"],
    times: np.ndarray,
    channels: Sequence[str],
) -> xr.Dataset:
    """`squared_error` (time, channel, lag) at times with truth at every lag, and `count`; `share` sums to 1.

    States and truth are consecutive and at the same times. ValueError for fewer than five times.
    """
    reach = max(LAGS)
    if len(times) <= 2 * reach:
        raise ValueError(f"{len(times)} times are too few for lags of {reach} steps: give at least {2 * reach + 1}")
    inner = range(reach, len(times) - reach)
    table = [[_mse(states[t], truth[t + k], share) for k in LAGS] for t in inner]
    fields = {"squared_error": (("time", "lag", "channel"), np.array(table)), "count": ("time", np.ones(len(inner)))}
    coordinates = {"time": np.asarray(times, "datetime64[ns]")[reach : len(times) - reach], "lag": list(LAGS)}
    return xr.Dataset(fields, {**coordinates, "channel": list(channels)})


def _mse(state: np.ndarray, truth: np.ndarray, share: np.ndarray) -> Float[np.ndarray, " channel"]:
    return np.einsum("cyx,yx->c", (state.astype(np.float64) - truth) ** 2, share)


def finish(sums: xr.Dataset) -> xr.Dataset:
    """Of summed sums: `mse` (channel, lag; SI²) and `best_lag` (steps), that of least error over all channels.

    Every channel counts in units of its own mean over lags.
    """
    relative = sums["squared_error"] / sums["squared_error"].mean("lag")
    best = relative.mean("channel").idxmin("lag")
    return xr.Dataset({"mse": sums["squared_error"] / sums["count"], "best_lag": best})


def best_lag(sums: xr.Dataset) -> int:
    """The lag of least error of summed sums, in steps."""
    return int(finish(sums)["best_lag"])
