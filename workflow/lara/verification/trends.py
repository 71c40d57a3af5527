"""Trends of a series and how sure they are: least squares with the annual cycle, n reduced for autocorrelation.

    x(t) = a + b t + Σ_k (c_k cos kωt + s_k sin kωt) + r(t),    k = 1, 2,    ω = 2π / 365.2425 d,
    n_eff = n (1 − ρ) / (1 + ρ),    var b = Σ r² / (n_eff − p) · [(XᵀX)⁻¹]_bb

with p columns of X and ρ the lag-one correlation of the residual r (Santer et al. 2000, doi:10.1029/1999JD901105). The
interval of b is that of Student's t with n_eff − p degrees of freedom. The cycle is fitted where a series spans 500
days or more: in a shorter one it cannot be told from a trend.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

YEAR = 365.2425  # days
SPAN = 500.0  # days, from which on the cycle of the year is fitted
LEAST = 5


class Trend(NamedTuple):
    """Slope b per day with its standard error, and the degrees of freedom of both."""

    slope: float
    error: float
    free: float

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Ends of the confidence interval of the slope."""
        reach = float(stats.t.ppf(0.5 + confidence / 2, self.free)) * self.error
        return self.slope - reach, self.slope + reach


def trend(series: xr.DataArray, seasons: bool | None = None) -> Trend:
    """Linear trend per day of a series over `time`.

    seasons: whether the cycle of the year is fitted too; by default where the series is long enough. ValueError for
    fewer than five values, or fewer than columns.
    """
    if series.size < LEAST:
        raise ValueError(f"{series.size} values are too few for a trend and its error: give at least {LEAST}")
    days = (series["time"].values - series["time"].values[0]) / np.timedelta64(1, "D")
    x = _columns(days, days[-1] >= SPAN if seasons is None else seasons)
    if len(days) <= x.shape[1]:
        raise ValueError(f"{len(days)} values do not tell {x.shape[1]} coefficients: give more, or leave out seasons")
    values = np.asarray(series.values, np.float64)
    spread = np.linalg.pinv(x.T @ x)
    coefficients = spread @ (x.T @ (values - values.mean()))
    residual = values - values.mean() - x @ coefficients
    power = float(residual @ residual)
    memory = float(np.clip(residual[1:] @ residual[:-1] / power, 0.0, 0.99)) if power > 0 else 0.0
    free = max(len(days) * (1 - memory) / (1 + memory) - x.shape[1], 1.0)
    return Trend(float(coefficients[1]), float(np.sqrt(power / free * spread[1, 1])), free)


def _columns(days: np.ndarray, seasons: bool) -> np.ndarray:
    """Constant, centred time and, with seasons, two harmonics of the year."""
    columns = [np.ones_like(days), days - days.mean()]
    for k in (1, 2) if seasons else ():
        columns += [np.cos(2 * np.pi * k * days / YEAR), np.sin(2 * np.pi * k * days / YEAR)]
    return np.stack(columns, 1)
