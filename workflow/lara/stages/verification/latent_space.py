"""Decoder of a run, probed by latent states: influence of components, balance, affinity.

Each function gives the arrays of one figure of Fan et al. (2026, doi:10.1126/sciadv.aea4248): latent_influence (5A),
imbalanced_input (5B), affine (6A) and linear_range (6B). States are of the test period.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lara.stages.experiments import shown_autoencoder
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run
from lara.stages.states import RunWithStates
from lara.stages.writing import write_dataset
from lara.store import StateStore
from lara.verification import linearity

PAIRS = 20
MOST_TOGETHER = 64  # latent states decoded at once
BLANKED = ("z500", "q500")
FACTORS = (*(2.0**-i for i in range(6, 0, -1)), *(2.0 ** (i / 2) for i in range(11)))


def write_latent_space(run: RunWithNetworks) -> None:
    """Write what the decoder makes of latent states, figure by figure."""
    for figure, fields in measure_latent_space(run).items():
        write_dataset(fields, run.layout.latent_space(figure))


def measure_latent_space(run: RunWithNetworks) -> dict[str, xr.Dataset]:
    """The arrays of every figure above by its name."""
    return {name: measure(run) for name, measure in FIGURES.items()}


@torch.no_grad()
def latent_influence(run: RunWithNetworks) -> xr.Dataset:
    """Decoded change of each latent component of random latent differences, area mean over the globe.

    `mean` and `variance` over the pairs (latent, channel) of ⟨|D(z + Δz_k) − D(z)|⟩ in units of the 24 h change.
    """
    _, decode = run.encoding(shown_autoencoder(run))
    first, second = _random_latents(run, "influence")
    parts = [_influence(run, decode, z, other - z) for z, other in zip(first, second, strict=True)]
    found = torch.stack(parts).double().numpy() / run.statistics.change_std
    fields = {"mean": found.mean(0), "variance": found.var(0, ddof=1)}
    data = {key: (("latent", "channel"), value) for key, value in fields.items()}
    return xr.Dataset(data, {"channel": run.channels.names}, {"n": len(parts)})


def _influence(run: Run, decode: Callable[[Tensor], Tensor], latent: Tensor, change: Tensor) -> Tensor:
    """⟨|D(z + Δz_k) − D(z)|⟩ (l, c), component by component."""
    base, area, parts = decode(latent[None]), run.area_weights(), []
    for some in torch.arange(len(latent)).split(MOST_TOGETHER):
        moved = latent.repeat(len(some), 1, 1, 1)
        moved[torch.arange(len(some)), some] += change[some]
        parts.append((area * (decode(moved) - base).abs()).mean((2, 3)).cpu())
    return torch.cat(parts)


def _truth(run: RunWithStates) -> StateStore:
    """States that the reference experiment is scored against."""
    return run.store(run.config.experiments[run.config.verification.reference].dataset)


def _random_latents(run: RunWithNetworks, purpose: str) -> tuple[Tensor, Tensor]:
    """Two sets of latent states (pair, l, h, w) of the test period, drawn at random."""
    encode, _ = run.encoding(shown_autoencoder(run))
    store = _truth(run)
    drawn = run.generator(purpose).choice(len(store), 2 * PAIRS, replace=len(store) < 2 * PAIRS)
    with torch.no_grad():
        latent = torch.cat([encode(torch.from_numpy(store.read(part))) for part in np.array_split(drawn, 4)])
    return latent[:PAIRS], latent[PAIRS:]


@torch.no_grad()
def imbalanced_input(run: RunWithNetworks) -> xr.Dataset:
    """A state with Z500 and Q500 replaced by their global means, through the autoencoder.

    `fields` (kind, channel, latitude, longitude), SI, of kinds truth, input, output and `reconstruction`, the output
    for the untouched truth. `restored` (channel): 1 − RMSE(output) / RMSE(input) against the truth.
    """
    encode, decode = run.encoding(shown_autoencoder(run))
    names = [name for name in BLANKED if name in run.channels.names] or list(run.config.verification.headline[:1])
    positions = [run.channels.position(name) for name in names]
    store = _truth(run)
    truth = run.tensor(store.read([len(store) // 2]))
    area, altered = run.area_weights(), truth.clone()
    altered[:, positions] = (area * truth[:, positions]).mean((2, 3), keepdim=True).expand_as(truth[:, positions])
    kinds = {
        "truth": truth,
        "input": altered,
        "output": decode(encode(altered)),
        "reconstruction": decode(encode(truth)),
    }
    fields = torch.cat(list(kinds.values()))[:, positions]
    rmse = (area * (fields - fields[:1]) ** 2).mean((2, 3)).sqrt().cpu().numpy()
    coordinates = {"kind": list(kinds), "channel": names, **_places(run)}
    data = {
        "fields": (("kind", "channel", "latitude", "longitude"), fields.cpu().numpy()),
        "restored": ("channel", 1 - rmse[2] / rmse[1]),
        "rmse": (("kind", "channel"), rmse),
    }
    return xr.Dataset(data, coordinates, {"n": 1, "time": str(store.times[len(store) // 2])[:16]})


@torch.no_grad()
def affine(run: RunWithNetworks) -> xr.Dataset:
    """D(z + Δz) − D(z) of the first headline channel for two differences Δz and for their sum, SI.

    z is the middle of the test period, Δz₁ and Δz₂ lead to its first and last states. `response` (part, latitude,
    longitude): first, second, sum of both, response to the sum. Attributes: `correlation` and `error`, the rms of the
    last less the third over that of the third.
    """
    encode, decode = run.encoding(shown_autoencoder(run))
    store = _truth(run)
    moments = [len(store) // 2, 0, len(store) - 1]
    latent, early, late = encode(torch.from_numpy(store.read(moments)))
    changes = torch.stack([early - latent, late - latent, early + late - 2 * latent])
    channel = run.config.verification.headline[0]
    first, second, both = (decode(latent + changes) - decode(latent[None]))[:, run.channels.position(channel)]
    area, added = run.area_weights(), first + second
    size = [(area * part**2).mean().sqrt() for part in (added, both, both - added)]
    parts = torch.stack([first, second, added, both]).cpu().numpy()
    coordinates = {"part": ["first", "second", "sum", "response to the sum"], **_places(run)}
    attributes = {
        "channel": channel,
        "times": [str(time)[:16] for time in store.times[moments]],
        "correlation": float((area * added * both).mean() / (size[0] * size[1])),
        "error": float(size[2] / size[0]),
        "n": 1,
    }
    return xr.Dataset({"response": (("part", "latitude", "longitude"), parts)}, coordinates, attributes)


def linear_range(run: RunWithNetworks) -> xr.Dataset:
    """`correlation` and `ratio` (sign, pair, factor, channel) of responses to scaled latent differences.

    With `low` and `high` (sign), the range of |k| in which the mean correlation is at least 0.9.
    """
    _, decode = run.encoding(shown_autoencoder(run))
    area, parts = run.area_weights(), []
    for z, other in zip(*_random_latents(run, "linear range"), strict=True):
        unit = linearity.responses(decode, z, other - z, [1.0])[0]
        for sign in (1.0, -1.0):
            factors = [sign * k for k in FACTORS]
            found = linearity.responses(decode, z, other - z, factors)
            parts.append(linearity.agreement(found, unit, factors, area).cpu().numpy())
    table = np.stack(parts).reshape(-1, 2, 2, len(FACTORS), len(run.channels))
    ranges = [linearity.linear_range(FACTORS, table[:, i, 0].mean((0, 2)).tolist()) for i in range(2)]
    dims = ("pair", "sign", "factor", "channel")
    fields: dict[str, Any] = {"correlation": (dims, table[:, :, 0]), "ratio": (dims, table[:, :, 1])}
    fields |= {
        name: ("sign", list(ends)) for name, ends in zip(("low", "high"), zip(*ranges, strict=True), strict=True)
    }
    coordinates = {"sign": [1, -1], "factor": list(FACTORS), "channel": run.channels.names}
    return xr.Dataset(fields, coordinates, {"n": len(table)})


def _places(run: Run) -> dict[str, np.ndarray]:
    return {"latitude": run.grid.latitude, "longitude": run.grid.longitude}


FIGURES: dict[str, Callable[[RunWithNetworks], xr.Dataset]] = {
    "fig5a_latent_influence": latent_influence,
    "fig5b_imbalanced_input": imbalanced_input,
    "fig6a_affine": affine,
    "fig6b_linear_range": linear_range,
}
