"""The structure of background errors in model space and in latent spaces, from one set of forecast differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lara.covariance import nmc
from lara.stages.experiments import shown_autoencoder
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run
from lara.stages.writing import write_dataset
from lara.verification import correlation

SAMPLES = 120  # forecast pairs; the unbiased estimate of shared elements needs no more
EDGES_KM = np.arange(0, 10001, 1000)
DETAIL = ("z500", "q500")  # channels whose correlations with all others are shown


def write_error_structure(run: RunWithNetworks) -> None:
    """Write the correlations of background errors."""
    write_dataset(measure_error_structure(run), run.layout.error_structure)


def measure_error_structure(run: RunWithNetworks) -> xr.Dataset:
    """Correlations across channels and across distance, and the diagonality index, by space.

    Spaces: `model`, and the latent spaces of the autoencoder shown and, if there is one, of a PCA. Variables
    `<space>_channels` (c, c), `<space>_distance` (c, distance), `shared`, `diagonality`, `off_diagonal`, `elements`
    (space).
    """
    encoders = {name: run.encoding(name)[0] for name in latent_spaces(run)}
    samples, valid = _differences(run, encoders)
    fields: dict[str, Any] = {}
    numbers = []
    for space, found in samples.items():
        standard = correlation.standardised(found)
        place = _places(run, standard.shape[2:])
        channels = correlation.between_channels(standard, place["area"])
        rng, edges = run.generator("points", space), 1e3 * EDGES_KM
        distance = correlation.over_distance(standard, place["latitude"], place["longitude"], edges, rng)
        own = "channel" if space == "model" else f"{space}_channel"
        fields[f"{space}_channels"] = ((own, f"{own}_other"), channels)
        fields[f"{space}_distance"] = ((own, "distance"), distance)
        shared = correlation.shared_elements(standard, valid)
        numbers.append((shared, 1 / shared, correlation.mean_off_diagonal(channels), standard[0].size))
    names = ("shared", "diagonality", "off_diagonal", "elements")
    fields |= {name: ("space", list(column)) for name, column in zip(names, zip(*numbers, strict=True), strict=True)}
    middles = {"distance": 0.5 * (EDGES_KM[1:] + EDGES_KM[:-1]), "space": list(samples)}
    both = {"channel": run.channels.names, "channel_other": run.channels.names}
    attributes = {"n": len(valid), "detail": _detail(run), "latent": shown_autoencoder(run)}
    return xr.Dataset(fields, {**middles, **both}, attributes)


def latent_spaces(run: Run) -> list[str]:
    """The autoencoder shown, and the PCA it is set against where there is one."""
    pca = [name for name in run.config.default_autoencoders if run.config.autoencoders[name].kind == "pca"]
    return list(dict.fromkeys([shown_autoencoder(run), *pca[:1]]))


def _detail(run: Run) -> list[str]:
    present = [name for name in DETAIL if name in run.channels.names]
    return present or [run.config.verification.headline[0]]


@torch.no_grad()
def _differences(
    run: RunWithNetworks, encoders: dict[str, Callable[[Tensor], Tensor]]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Forecast differences (n, c, y, x) by space, and their valid times."""
    settings = run.config.background_error
    short, long = (hours // run.config.step_hours for hours in settings.lead_hours)
    parts: dict[str, list[np.ndarray]] = {space: [] for space in ("model", *encoders)}
    valid = []
    count = min(SAMPLES, settings.samples)
    for pair in nmc.forecast_pairs(run.stores("training"), run.forecast, (short, long), count):
        parts["model"].append((pair.long - pair.short).cpu().numpy())
        for space, encode in encoders.items():
            parts[space].append((encode(pair.long) - encode(pair.short)).cpu().numpy())
        valid.append(pair.valid)
    return {space: np.concatenate(found) for space, found in parts.items()}, np.concatenate(valid)


def _places(run: Run, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Areas and latitudes of rows, and longitudes of columns: of grid points, or of the patches they are in."""
    area, latitude = (np.array_split(values, shape[0]) for values in (run.grid.area_weights[:, 0], run.grid.latitude))
    longitude = np.array_split(run.grid.longitude, shape[1])
    return {
        "area": np.array([part.sum() for part in area]),
        "latitude": np.array([part.mean() for part in latitude]),
        "longitude": np.array([part.mean() for part in longitude]),
    }
