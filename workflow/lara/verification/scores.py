"""Area-weighted scores of states against a truth, kept as sums so that any split in time scores the same.

With error e = x - x_true, anomalies x' = x - c(t) about the day-of-year climatology c, area mean <.> and sums
over n states,

    bias = sum <e> / n,   RMSE = sqrt(sum <e^2> / n),   MAE = sum <|e|> / n,
    ACC  = sum <x' x_true'> / sqrt(sum <x'^2> sum <x_true'^2>),   activity = sqrt(sum <x'^2> / n)

(Murphy and Epstein 1989, doi:10.1175/1520-0493(1989)117<0572:SSACCI>2.0.CO;2; anomalies are not centred, as
in WeatherBench 2).
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

PREFIX = "scores"
SUMS = (
    "error",
    "squared_error",
    "absolute_error",
    "anomaly_product",
    "squared_anomaly",
    "squared_truth_anomaly",
)


def sums(
    states: Float[np.ndarray, "time channel lat lon"],
    truth: Float[np.ndarray, "time channel lat lon"],
    climatology: Float[np.ndarray, "time channel lat lon"],
    shares: xr.DataArray,
    times: np.ndarray,
    channels: Sequence[str],
) -> xr.Dataset:
    """The sums above for each time alone: a Dataset (region, time, channel) to save and to `finish`.

    States, truth and climatology share SI units; `shares` (region, latitude, longitude) are those of `regions`.
    ValueError when shapes differ.
    """
    expected = (len(times), len(channels), *shares.shape[1:])
    for name, array in (("states", states), ("truth", truth), ("climatology", climatology)):
        if array.shape != expected:
            raise ValueError(f"{name} have shape {array.shape}; times, channels and area weights say {expected}")
    share = shares.values.reshape(shares.sizes["region"], -1)
    each = [_sums_of_one_time(*fields, share) for fields in zip(states, truth, climatology, strict=True)]
    table = np.array(each).reshape(len(times), len(SUMS), len(share), len(channels)).transpose(1, 2, 0, 3)
    result = xr.Dataset({name: (("region", "time", "channel"), part) for name, part in zip(SUMS, table, strict=True)})
    counted = result.assign(count=("time", np.ones(len(times)))).assign_coords(region=shares["region"].values)
    return counted.assign_coords(time=np.asarray(times, "datetime64[ns]"), channel=list(channels))


def _sums_of_one_time(
    state: Float[np.ndarray, "channel lat lon"],
    truth: Float[np.ndarray, "channel lat lon"],
    climatology: Float[np.ndarray, "channel lat lon"],
    share: Float[np.ndarray, "region cell"],
) -> Float[np.ndarray, "sum region channel"]:
    anomaly = state.astype(np.float64) - climatology
    truth_anomaly = truth.astype(np.float64) - climatology
    error = anomaly - truth_anomaly
    products = (error, error**2, np.abs(error), anomaly * truth_anomaly, anomaly**2, truth_anomaly**2)
    return np.stack([share @ product.reshape(len(product), -1).T for product in products])


def finish(sums: xr.Dataset) -> xr.Dataset:
    """Rmse, bias, mae, activity and truth_activity (SI), acc (1) of summed sums, on whatever dimensions are left."""
    count = sums["count"]
    norm = (sums["squared_anomaly"] * sums["squared_truth_anomaly"]) ** 0.5
    return xr.Dataset(
        {
            "rmse": (sums["squared_error"] / count) ** 0.5,
            "bias": sums["error"] / count,
            "mae": sums["absolute_error"] / count,
            "acc": sums["anomaly_product"] / norm.where(norm > 0),
            "activity": (sums["squared_anomaly"] / count) ** 0.5,
            "truth_activity": (sums["squared_truth_anomaly"] / count) ** 0.5,
        }
    )


def mean_over(sums: xr.Dataset, times: Sequence[np.datetime64] | slice, dim: str = "time") -> xr.Dataset:
    """The scores over the states at `times` together, RMSE = sqrt(mean MSE). KeyError for a missing time."""
    chosen = sums.sel({dim: times})
    if chosen.sizes[dim] == 0:
        raise KeyError(f"no scores at {times}: they cover {sums[dim].values[0]} .. {sums[dim].values[-1]}")
    return finish(chosen.sum(dim))
