"""Global budgets of mass, moisture and energy, and their drift and jumps.

    ⟨msl⟩,   ⟨∫ q dp⟩ / g,   ⟨∫ (c_p T + ½|v|² + L q) dp⟩ / g

⟨⟩ area mean, integrals by trapezia over the levels there are: budgets are of that layer, and the mean sea level
pressure stands for mass.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from jaxtyping import Float

from lara.grid import Grid
from lara.state import Channels
from lara.verification import trends

HEAT, LATENT, GRAVITY = 1004.7, 2.501e6, 9.80665  # SI
States = Float[np.ndarray, "time channel lat lon"]


def budgets(states: States, channels: Channels, grid: Grid) -> dict[str, Float[np.ndarray, " time"]]:
    """`mass` (Pa), `moisture` (kg m⁻²), `energy` (J m⁻²), those whose variables the states have."""
    share = grid.area_shares
    held, found = set(channels.variables), {}
    if "msl" in held:
        found["mass"] = np.einsum("tyx,yx->t", states[:, channels.index("msl")].astype(np.float64), share)
    mean = {name: _column(states, channels, name, share, lambda x: x) for name in ("q", "t") if name in held}
    if "q" in held:
        found["moisture"] = mean["q"] / GRAVITY
    if {"q", "t", "u", "v"} <= held:
        motion = [_column(states, channels, name, share, lambda x: 0.5 * x**2) for name in "uv"]
        found["energy"] = (HEAT * mean["t"] + LATENT * mean["q"] + motion[0] + motion[1]) / GRAVITY
    return found


def _column(
    states: States, channels: Channels, name: str, share: np.ndarray, of: Callable[[np.ndarray], np.ndarray]
) -> Float[np.ndarray, " time"]:
    """⟨∫ f dp⟩ of a variable over its levels."""
    values = of(states[:, channels.select(name)].astype(np.float64))
    return np.trapezoid(np.einsum("tlyx,yx->tl", values, share), 100.0 * np.array(channels.levels(name)), axis=1)


def drift(series: xr.DataArray) -> tuple[float, float]:
    """Linear trend per day of a series over `time`, and its standard error; see `trends`, cycle of the year left alone.

    ValueError for fewer than five values.
    """
    found = trends.trend(series, seasons=False)
    return found.slope, found.error


def jumps(analysis: xr.DataArray, background: xr.DataArray, truth: xr.DataArray) -> float:
    """Rms of what analyses change in a global mean over the rms of its true change between times: 1 or less is calm."""
    change = truth.diff("time")
    return float(((analysis - background) ** 2).mean() ** 0.5 / (change**2).mean() ** 0.5)
