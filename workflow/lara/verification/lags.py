"""Lags: is a series of states nearest to the truth of its own time?

    MSE(k) = mean over t of ⟨(x(t) − x_true(t + k Δt))²⟩,    lag = argmin_k MSE(k)

Channels count in units of their mean over lags. A lag other than 0 says that times are mislabelled, by that many steps,
which no score at lag 0 can tell from error.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

LAGS = (-2, -1, 0, 1, 2)


def lag_sums(
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


def best_lag(sums: xr.Dataset) -> int:
    """The lag of least error of summed sums (lag, channel), every channel in units of its own mean over lags."""
    relative = sums["squared_error"] / sums["squared_error"].mean("lag")
    return int(relative.mean("channel").idxmin("lag"))
