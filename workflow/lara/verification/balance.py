"""Balance of increments: how far wind is from geostrophic and thickness from hydrostatic.

    geostrophic    Σ|δv − k × ∇δφ / f|² / Σ|δv|²                        30° to 70° of both hemispheres, by level
    hydrostatic    Σ(δΔφ − R δT̄_v ln(p₂/p₁))² / Σ(δΔφ)²                 by layer between levels p₁ < p₂

T̄_v is the mean virtual temperature of the two levels. Imbalances are roots of ratios of sums, 0 in balance. Layers are
thick and friction and curvature are real, so what counts is the difference from the same ratio of perfect increments,
truth less background (Lorenc 2003, doi:10.1256/qj.02.132).
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float

from lara.covariance.harmonics import Harmonics
from lara.grid import Grid
from lara.state import Channels

PREFIX = "balance"
GAS, ROTATION = 287.05, 7.292e-5  # SI
BAND = (30.0, 70.0)
States = Float[np.ndarray, "time channel lat lon"]


def sums(states: States, background: States, channels: Channels, grid: Grid, times: np.ndarray) -> xr.Dataset:
    """Means over space of increments states − background: residual and size of wind (time, level) and thickness.

    `geostrophic_residual`, `wind` (time, level; m² s⁻²), `hydrostatic_residual`, `thickness` (time, layer; m⁴ s⁻⁴),
    where the states have the variables, and `count` (time); `layer` is the lower level (hPa).
    """
    held = set(channels.variables)
    found = xr.Dataset({"count": ("time", np.ones(len(times)))}, {"time": np.asarray(times, "datetime64[ns]")})
    if {"z", "u", "v"} <= held:
        found = found.merge(_geostrophic(states - background, channels, grid))
    if {"z", "t"} <= held:
        found = found.merge(_hydrostatic(states, background, channels, grid))
    return found


@torch.no_grad()
def _geostrophic(increment: States, channels: Channels, grid: Grid) -> xr.Dataset:
    harmonics, levels = Harmonics.of(grid), channels.levels("u")
    z, u, v = (increment[:, [channels.index(name, level) for level in levels]].astype(np.float64) for name in "zuv")
    phi = torch.from_numpy(z)
    coriolis = 2 * ROTATION * np.sin(np.deg2rad(grid.latitude))[:, None]
    east, north = (part.numpy() / coriolis for part in harmonics.wind(phi, torch.zeros_like(phi)))
    inside = (np.abs(grid.latitude) >= BAND[0]) & (np.abs(grid.latitude) <= BAND[1])
    share = grid.area_weights * inside[:, None] / (grid.area_weights * inside[:, None]).sum()
    residual, size = (
        np.einsum("tlyx,yx->tl", part, share) for part in ((u - east) ** 2 + (v - north) ** 2, u**2 + v**2)
    )
    fields = {"geostrophic_residual": (("time", "level"), residual), "wind": (("time", "level"), size)}
    return xr.Dataset(fields, {"level": levels})


def _hydrostatic(states: States, background: States, channels: Channels, grid: Grid) -> xr.Dataset:
    share, levels = grid.area_shares, channels.levels("t")
    z = [channels.index("z", level) for level in levels]
    height = (states[:, z] - background[:, z]).astype(np.float64)
    warmth = _virtual(states, channels) - _virtual(background, channels)
    thick = height[:, :-1] - height[:, 1:]
    depth = np.log(np.array(levels[1:]) / np.array(levels[:-1]))[:, None, None]
    residual = thick - GAS * 0.5 * (warmth[:, :-1] + warmth[:, 1:]) * depth
    parts = {"hydrostatic_residual": residual, "thickness": thick}
    fields = {key: (("time", "layer"), np.einsum("tlyx,yx->tl", part**2, share)) for key, part in parts.items()}
    return xr.Dataset(fields, {"layer": levels[1:]})


def _virtual(states: States, channels: Channels) -> Float[np.ndarray, "time level lat lon"]:
    """Virtual temperature (K), of dry air where there is no humidity."""
    temperature = states[:, channels.select("t")].astype(np.float64)
    if "q" not in channels.variables:
        return temperature
    return temperature * (1 + 0.608 * states[:, channels.select("q")])


def finish(sums: xr.Dataset) -> xr.Dataset:
    """`geostrophic` (level) and `hydrostatic` (layer) imbalance of summed sums; NaN without increments."""
    names = {"geostrophic": ("geostrophic_residual", "wind"), "hydrostatic": ("hydrostatic_residual", "thickness")}
    return xr.Dataset(
        {
            name: (sums[residual] / sums[size].where(sums[size] > 0)) ** 0.5
            for name, (residual, size) in names.items()
            if residual in sums
        }
    )
