"""A whole run on an 8 × 16 grid: random but smooth states, networks of one block, and everything made from them.

The states x(t) = mean + std Σ_k a_k(t) f_k are six patterns f_k of low wavenumber whose amplitudes follow an AR(1)
process with e-folding time of four days, plus noise of a tenth: enough structure for a PCA, and persistence forecasts
them for a day or two.
"""

import copy
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn

from lara import cli, config, receipts, store
from lara.config import sources
from lara.layout import Layout
from lara.stages.networks import RunWithNetworks
from lara.stages.run import time, time_range

NETWORK = {"patch": 4, "halo": 1, "width": 8, "heads": 2, "mlp_ratio": 2.0, "windows": [[2, 4]]}
TRAINING = {"batch_size": 4, "validation_samples": 4, "precision": "32-true", "checkpoint_every": 2}
LATENT = {"latent_channels": 12, "encoder_blocks": 1, "decoder_blocks": 1, "network": NETWORK}
EXPERIMENT = {"background_hours": 24, "days": 5}
SHORT = {"background_hours": 24, "days": 2}
SHORT_LATENT = {"method": "l4dvar", "autoencoder": "main", **SHORT}
WAYS = {  # of analysing a window, beside those of the default suite
    "3dvar": {"method": "3dvar", "slots": 1, **SHORT},
    "4dvar": {"method": "4dvar", **SHORT},
    "block": {**SHORT_LATENT, "latent_covariance": "block"},
    "horizontal": {**SHORT_LATENT, "latent_covariance": "horizontal"},
    "increments": {**SHORT_LATENT, "increment_form": True},
    "weak": {**SHORT_LATENT, "model_error": 0.1},
    "weak-4dvar": {"method": "4dvar", "model_error": 0.1, **SHORT},
    "overlap": {**SHORT_LATENT, "overlap": 2},
    "half-days": {**SHORT_LATENT, "slots": 2, "slot_hours": 12},
    "tuned": {"method": "4dvar", "slots": 2, "factors": None, **SHORT},
    "tuned-latent": {**SHORT_LATENT, "factors": None},
}
ENSEMBLE = {**SHORT_LATENT, "suite": "ensemble", "members": 3, "inflation": 0.3, "flow_dependence": 0.4}

VALUES = {
    "name": "world",
    "source": {"truncation": 5},  # never run; its grid is known to the tests alone, see below
    "state": {"surface": ["msl", "t2m"], "upper_air": ["z", "t"], "levels": [500, 850]},
    "grid": {"latitudes": 8, "longitudes": 16},
    "datasets": {
        "training": {"use": "training", "member": 1, "begin": "2001-01-01", "end": "2001-02-03"},
        "validation": {"use": "validation", "member": 2, "begin": "2001-01-01", "end": "2001-01-09"},
        "test": {"use": "test", "member": 3, "begin": "2001-01-01", "end": "2001-01-09"},
    },
    "autoencoders": {
        "main": {**LATENT, "training": {**TRAINING, "phases": [{"steps": 4, "learning_rate": 1e-3}]}},
        "pca": {**LATENT, "kind": "pca", "training": {**TRAINING, "phases": [{"steps": 1, "learning_rate": 1e-3}]}},
    },
    "forecaster": {
        "blocks": 1,
        "relaxation_days": 10.0,
        "network": NETWORK,
        "training": {
            **TRAINING,
            "phases": [{"steps": 3, "learning_rate": 1e-3}, {"steps": 2, "learning_rate": 1e-4, "rollout": 2}],
        },
    },
    "background_error": {"samples": 40},
    "observations": {"columns": 12, "surface_stations": 20},
    "minimiser": {"evaluations": 10, "degrees_of_freedom_every": 2},
    "experiments": {
        "l4dvar": {"method": "l4dvar", "autoencoder": "main", **EXPERIMENT},
        "l3dvar": {"method": "l3dvar", "autoencoder": "main", "slots": 1, **EXPERIMENT},
        "pca": {"method": "l4dvar", "autoencoder": "pca", **EXPERIMENT},
        "free": {"method": "free", **EXPERIMENT},
        "autoencoder-only": {"method": "autoencoder-only", "autoencoder": "main", **EXPERIMENT},
        **{name: {**way, "suite": "osse"} for name, way in WAYS.items()},
        "eda": ENSEMBLE,
        "posterior": {**SHORT_LATENT, "suite": "ensemble", "posterior_vectors": 8},
    },
    "tuning": {
        "background_hours": 24,
        "days": 3,
        "spin_up_days": 1,
        "background": [0.3, 1.0, 3.0],
        "length": [0.7, 1.0],
        "observation": [0.5, 1.0],
    },
    "verification": {"spin_up_days": 1, "headline": ["z500", "t850"], "lead_days": 1},
    "osse": {"reference": "4dvar", "spin_up_days": 1},
    "ensemble": {"spin_up_days": 1},
    "single_observations": {
        "east": {"variable": "z", "level": 500, "latitude": 40.0, "longitude": 100.0, "innovation": 300.0},
        "west": {"variable": "t", "level": 850, "latitude": -20.0, "longitude": -60.0, "innovation": 2.0},
        "surface": {"variable": "t2m", "latitude": 0.0, "longitude": 10.0, "innovation": -2.0, "error_std": 0.5},
    },
    "observed_once": ["l4dvar", "4dvar"],
}

sources.LATITUDES[5] = 8

MEAN = {"msl": 1.01e5, "t2m": 288.0, "z500": 5.5e4, "z850": 1.4e4, "t500": 253.0, "t850": 281.0}
STD = {"msl": 800.0, "t2m": 6.0, "z500": 900.0, "z850": 500.0, "t500": 5.0, "t850": 5.0}
PATTERNS, MEMORY_STEPS, NOISE = 6, 16, 0.1

MAKE = [  # the commands that lead from sealed datasets to an observed, trained run
    "compute-statistics",
    "train-autoencoder --autoencoder main",
    "train-autoencoder --autoencoder pca",
    "train-forecaster",
    "measure-autoencoder --autoencoder main",
    "measure-autoencoder --autoencoder pca",
    "measure-forecaster",
    "score-autoencoder --autoencoder main",
    "score-autoencoder --autoencoder pca",
    "score-forecaster",
    *(f"estimate-background-error --space {space}" for space in ("main", "pca", "model")),
    "draw-sites",
    *(f"{do}-observations --month {name}/2001-01" for name in ("test", "validation") for do in ("simulate", "screen")),
]


def tiny_run(folder: Path) -> RunWithNetworks:
    """A run in `folder` that is ready to cycle: datasets, statistics, networks, errors, B, observations."""
    run = write_config(folder, VALUES)
    for name in run.config.datasets:
        write_dataset(run, name)
    for words in MAKE:
        assert lara(run.layout.root, words) == 0, words
    return RunWithNetworks.open(folder)


def lara(root: Path, words: str) -> int:
    """Status of `lara <words> --run <root>` in this process."""
    return cli.main([*words.split(), "--run", str(root), "--threads", "1"])


def write_config(folder: Path, values: dict) -> RunWithNetworks:
    """The run of a configuration, with nothing but its resolved config.yaml."""
    resolved = config.parse(copy.deepcopy(values)).model_dump(mode="json")
    folder.mkdir(parents=True, exist_ok=True)
    Layout(folder).config.write_text(yaml.safe_dump(resolved, sort_keys=False))
    return RunWithNetworks.open(folder)


def copied(run: RunWithNetworks, folder: Path, values: dict | None = None) -> RunWithNetworks:
    """The run in another folder, with another configuration if given; datasets and networks are links to its own."""
    folder.mkdir(parents=True)
    for part in run.layout.root.iterdir():
        if part.name in ("data", "models"):
            (folder / part.name).symlink_to(part)
        elif part.is_dir():
            shutil.copytree(part, folder / part.name)
        else:
            shutil.copy(part, folder / part.name)
    return RunWithNetworks.open(folder) if values is None else write_config(folder, values)


def unlinked(folder: Path) -> None:
    """Make a linked folder one of its own that holds links to the parts, so that it can be added to."""
    source = folder.resolve()
    if folder.is_symlink():
        folder.unlink()
        folder.mkdir()
        for part in source.iterdir():
            (folder / part.name).symlink_to(part)


def part(run: RunWithNetworks, dataset: str) -> str:
    """What commands call the whole of a dataset that is made as one part."""
    chosen = run.config.datasets[dataset]
    return f"{dataset}/{chosen.begin:%Y%m%d}-{chosen.end:%Y%m%d}"


def receive(run: RunWithNetworks) -> None:
    """Write the receipts of datasets that are there, each made as one part."""
    for name, chosen in run.config.datasets.items():
        begin, end = time(chosen.begin), time(chosen.end)
        content = store.content_digest(run.layout.dataset(name), begin, end)
        receipt = run.layout.dataset_part(*part(run, name).split("/"))
        receipts.write(receipt, begin=str(begin), end=str(end), content=content)


def changed(key: str, value: object) -> dict:
    """`VALUES` with one dotted key set."""
    values = copy.deepcopy(VALUES)
    *path, last = key.split(".")
    section = values
    for part in path:
        section = section.setdefault(part, {})
    section[last] = value
    return values


def write_dataset(run: RunWithNetworks, name: str) -> None:
    """Fill and seal a dataset of the run, its weather drawn from the dataset's name."""
    chosen, path = run.config.datasets[name], run.layout.dataset(name)
    times = time_range(chosen.begin, chosen.end, run.step)
    store.create(path, run.grid, run.channels, times)
    store.write_block(path, 0, weather(run, len(times), run.generator("weather", name)))
    store.seal(path, "all", 0, len(times))


def weather(run: RunWithNetworks, count: int, generator: np.random.Generator) -> np.ndarray:
    """Consecutive states (count, c, y, x) in SI units; the patterns are the same for every generator."""
    names = run.channels.names
    pattern = np.stack([_patterns(run, name) for name in names], 1)
    memory = np.exp(-1 / MEMORY_STEPS)
    amplitude = np.empty((count, PATTERNS))
    amplitude[0] = generator.standard_normal(PATTERNS)
    for t in range(1, count):
        amplitude[t] = memory * amplitude[t - 1] + np.sqrt(1 - memory**2) * generator.standard_normal(PATTERNS)
    anomaly = np.tensordot(amplitude, pattern, 1)
    anomaly += NOISE * generator.standard_normal(anomaly.shape)
    mean, std = (np.array([of[name] for name in names])[:, None, None] for of in (MEAN, STD))
    return (mean + std * anomaly).astype(np.float32)


def _patterns(run: RunWithNetworks, channel: str) -> np.ndarray:
    """Waves of wavenumber 1 … PATTERNS around the globe, fading towards the poles, phases by channel."""
    phase = run.generator("patterns", channel).uniform(0, 2 * np.pi, PATTERNS)
    longitude, latitude = np.deg2rad(run.grid.longitude), np.deg2rad(run.grid.latitude)
    wave = np.cos(np.arange(1, PATTERNS + 1)[:, None] * longitude + phase[:, None]) / np.sqrt(PATTERNS / 2)
    return np.cos(latitude)[:, None] * wave[:, None, :]


def nonlinear(module: nn.Module, size: float = 0.05) -> nn.Module:
    """The module in float64 with random weights in the last layers that start at zero, so that it is nonlinear."""
    generator = torch.Generator().manual_seed(3)
    for name, parameter in module.named_parameters():
        if name.endswith(("leave.weight", "leave.bias")):
            parameter.data = size * torch.randn(parameter.shape, generator=generator)
    return module.double().requires_grad_(False)


def outputs(run, name):
    """Bytes of all that an experiment leaves, by path, but timings, which no two runs share, and their receipt."""
    files = run.layout.cycled(name)
    found = [path for folder in (files.archive, files.folder) for path in folder.rglob("*") if path.is_file()]
    kept = [*found, files.archive_receipt]
    return {
        str(path.relative_to(run.layout.root)): path.read_bytes()
        for path in kept
        if not path.name.startswith(files.timings.name)
    }
