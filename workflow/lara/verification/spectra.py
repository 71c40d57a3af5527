"""Spectra: power by total wavenumber, and coherence of states with the truth.

    P(n) = Σ_m |f_nm|² / 4π,    Σ_n P(n) = area mean of f²,
    ratio = P / P_true,    coherence = Σ_m Re f_nm g*_nm / 4π / √(P P_true)

over −n ≤ m ≤ n, of harmonics f_nm of a state and g_nm of the truth. Smoothing shows as a ratio below 1 at large n,
noise above 1; a coherence below 1 says that what power there is sits in the wrong place (Boer 1984,
doi:10.1175/1520-0493(1984)112<0437:ASAOPA>2.0.CO;2). Kinetic energy is split into its rotational and divergent part.
"""

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Complex, Float
from torch import Tensor

from lara.covariance.harmonics import Harmonics

PREFIX = "spectra"
SUMS = ("power", "truth_power", "cross")


@torch.no_grad()
def sums(
    states: Float[np.ndarray, "time channel lat lon"],
    truth: Float[np.ndarray, "time channel lat lon"],
    harmonics: Harmonics,
    times: np.ndarray,
    channels: Sequence[str],
) -> xr.Dataset:
    """SUMS (time, channel, wavenumber), SI units squared, and `count` (time). ValueError when shapes differ."""
    if states.shape != truth.shape or states.shape[:2] != (len(times), len(channels)):
        raise ValueError(f"states {states.shape} and truth {truth.shape} do not fit {len(times)} times and channels")
    table = np.empty((len(SUMS), len(times), len(channels), harmonics.truncation))
    for i, pair in enumerate(zip(states, truth, strict=True)):
        f, g = (harmonics.analyse(torch.from_numpy(part.astype(np.float64))) for part in pair)
        table[:, i] = torch.stack([product(f, f), product(g, g), product(f, g)]).numpy()
    dims = ("time", "channel", "wavenumber")
    fields: dict[str, object] = {name: (dims, part) for name, part in zip(SUMS, table, strict=True)}
    fields["count"] = ("time", np.ones(len(times)))
    coordinates = {"time": np.asarray(times, "datetime64[ns]"), "channel": list(channels)}
    return xr.Dataset(fields, {**coordinates, "wavenumber": np.arange(harmonics.truncation)})


def product(f: Complex[Tensor, "*b n m"], g: Complex[Tensor, "*b n m"]) -> Float[Tensor, "*b n"]:
    """Σ_m Re f g* / 4π over negative m too, of fields' harmonics m ≥ 0."""
    each = (f * g.conj()).real
    return (2 * each.sum(-1) - each[..., 0]) / (4 * torch.pi)


def finish(sums: xr.Dataset) -> xr.Dataset:
    """`power`, `truth_power` (SI²), `ratio` and `coherence` (1) of summed sums; NaN where the truth has no power."""
    truth = sums["truth_power"].where(sums["truth_power"] > 0)
    size = (sums["power"] * truth) ** 0.5
    return xr.Dataset(
        {
            "power": sums["power"] / sums["count"],
            "truth_power": sums["truth_power"] / sums["count"],
            "ratio": sums["power"] / truth,
            "coherence": sums["cross"] / size.where(size > 0),
        }
    )


@torch.no_grad()
def kinetic_energy(
    u: Float[np.ndarray, "time lat lon"], v: Float[np.ndarray, "time lat lon"], harmonics: Harmonics
) -> Float[np.ndarray, "2 time n"]:
    """Rotational and divergent kinetic energy by total wavenumber, m² s⁻²; they add up to the area mean ½(u² + v²).

    ½ n(n + 1)/a² times the power of streamfunction and of velocity potential.
    """
    potentials = harmonics.potentials(*(torch.from_numpy(part.astype(np.float64)) for part in (u, v)))
    parts = [harmonics.analyse(potential) for potential in potentials]
    return torch.stack([0.5 * harmonics.wavenumber**2 * product(f, f) for f in parts]).numpy()
