"""Estimate of a configuration's cost before it is run: hours, device memory, disk space and files of its larger jobs.

Operations are counted without computing (`operation_counts`). Hours follow from what jobs of the same kind took for
their operations, or bytes, in a run that was measured on the same machine. Disk space is that of uncompressed float32
states, and of tables what their rows take in the default run. An analysis counts with the most evaluations it may take.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from lara import config as configuration
from lara import device
from lara.config import Config, Training
from lara.forecaster import Forecaster
from lara.layout import Layout
from lara.stages.benchmarks.operation_counts import GRADIENT, TRAINING, Work, measure
from lara.stages.data.download import volume
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run

BYTES = 4  # of a value
OBSERVATION_BYTES, FEEDBACK_BYTES = 18, 34  # of a row as observed and screened, and with its departures (zstd)
OPTIMISER_BYTES = 16  # per weight: itself, its gradient and two moments
NMC_HOURS = 72  # of both forecasts of a sample
DATA = ("download-month", "generate-dataset")
TRAININGS = ("train-autoencoder", "train-forecaster")
KINDS = (*DATA, *TRAININGS, "estimate-background-error", "cycle-experiment")


@dataclass(frozen=True)
class Estimate:
    """A job of the workflow, or all downloads: `disk` in bytes and `files`, bytes of device `memory`, and `hours`.

    amount: what its time is proportional to: operations, bytes for data. hours: None where none of its kind was
    measured. requests: to the Climate Data Store.
    """

    job: str
    amount: float
    memory: float = 0.0
    disk: float = 0.0
    files: int = 0
    hours: float | None = None
    requests: int = 0

    @property
    def kind(self) -> str:
        """What it is an instance of, which is what it is compared with."""
        return next(kind for kind in KINDS if self.job.startswith(kind))


class Networks:
    """Cost of one sample through each network of a run, none of which needs to exist."""

    def __init__(self, run: RunWithNetworks) -> None:
        self.run = run
        self.state_shape = (len(run.channels), *run.grid.shape)

    @cached_property
    def step(self) -> Work:
        """One step of the forecaster."""
        return measure(self.forecaster, self.state_shape)

    def forecaster(self) -> Forecaster:
        """The forecaster, its scales being no part of its cost."""
        return self.run.new_forecaster(torch.ones(len(self.run.channels)))

    def decode(self, name: str) -> Work:
        """Decoder of an autoencoder."""
        latent = self.run.new_autoencoder(name).latent_shape
        return measure(lambda: self.run.new_autoencoder(name).decode, latent)

    def reconstruct(self, name: str) -> Work:
        """Encoder and decoder."""

        def make() -> Callable[[Tensor], Tensor]:
            module = self.run.new_autoencoder(name)
            return lambda state: module.decode(module.encode(state))

        return measure(make, self.state_shape)


def estimate(config: Config, measured: Path | None = None, devices: int = 1) -> list[Estimate]:
    """Jobs of the default target and of `production`, trainings on so many devices at once.

    `measured` is the folder of a run that was made on the same machine, each job on one device.
    """
    rates = {} if measured is None else _rates(Layout(measured))

    def timed(job: Estimate) -> Estimate:
        share = devices if job.kind in TRAININGS else 1
        return replace(job, hours=job.amount / rates[job.kind] / 3600 / share if job.kind in rates else None)

    return [timed(job) for job in jobs_of(config, devices)]


def told(path: Path, measured: Path | None, devices: int, device_memory: float | None) -> tuple[str, list[str]]:
    """Table of what the configuration at `path` costs, and what does not fit; device_memory in bytes, if known."""
    chosen = configuration.load(path)
    jobs = estimate(chosen, measured, devices)
    text = table(jobs).to_string(index=False, float_format="{:.3f}".format, na_rep="-")
    if measured is None:
        text += "\nhours: name a run made on the same machine with --measured, e.g. results/tiny"
    if device_memory is None and device.choose().type == "cuda":
        device_memory = float(torch.cuda.mem_get_info()[1])
    return text, list(misfits(jobs, Path("results") / chosen.name, device_memory))


def misfits(jobs: list[Estimate], root: Path, device_memory: float | None) -> Iterator[str]:
    """What does not fit: bytes and files on the file system of `root`, bytes of a device where they are known."""
    place = next(path for path in (root.absolute(), *root.absolute().parents) if path.exists())
    system = os.statvfs(place)
    disk, files = sum(job.disk for job in jobs), sum(job.files for job in jobs)
    free = system.f_bavail * system.f_frsize
    if disk > free:
        yield f"disk space: {disk / 2**30:.0f} GiB, {place} has {free / 2**30:.0f}: free some or move results/"
    if 0 < system.f_favail < files:
        yield f"files: {files}, {place} has room for {system.f_favail}: remove some or move results/"
    largest = max(jobs, key=lambda job: job.memory)
    if device_memory is not None and largest.memory > device_memory:
        yield (
            f"device memory: {largest.job} needs {largest.memory / 2**30:.1f} GiB of {device_memory / 2**30:.1f}: "
            "lower training.batch_size, train on more devices, or set minimiser.recompute"
        )


def table(jobs: list[Estimate]) -> pd.DataFrame:
    """What is printed: operations in 10¹⁵, memory and disk in GiB, hours, with a last row for all."""
    rows = pd.DataFrame([{"job": j.job, "hours": j.hours, "device GiB": j.memory / 2**30} for j in jobs])
    rows["10^15 operations"] = [0.0 if j.kind in DATA else j.amount / 1e15 for j in jobs]
    rows["disk GiB"], rows["files"] = [j.disk / 2**30 for j in jobs], [j.files for j in jobs]
    if any(j.requests for j in jobs):
        rows["CDS requests"] = [j.requests for j in jobs]
    total = rows.drop(columns="job").sum(min_count=1).to_dict() | {"device GiB": rows["device GiB"].max()}
    return pd.concat([rows, pd.DataFrame([{"job": "all", **total}])], ignore_index=True)


def jobs_of(config: Config, devices: int = 1, suites: Sequence[str] = ("reanalysis", "production")) -> list[Estimate]:
    """Jobs of the experiments of some suites and of all that they need, without their hours."""
    return list(_jobs(config, devices, suites))


def _jobs(config: Config, devices: int, suites: Sequence[str]) -> Iterator[Estimate]:
    run = RunWithNetworks(config, Layout(Path("results") / config.name))
    networks = Networks(run)
    names = [name for suite in suites for name in config.suite(suite)]
    yield from _datasets(run, names)
    for name in config.default_autoencoders:
        autoencoder = config.autoencoders[name]
        if autoencoder.kind == "transformer":
            weights = sum(part.numel() for part in run.new_autoencoder(name).parameters())
            yield _training(
                f"train-autoencoder-{name}", autoencoder.training, networks.reconstruct(name), weights, devices
            )
    weights = sum(part.numel() for part in networks.forecaster().parameters())
    yield _training("train-forecaster", config.forecaster.training, networks.step, weights, devices)
    assimilated = [config.experiments[name] for name in names if config.experiments[name].variational]
    steps = config.background_error.samples * NMC_HOURS / config.step_hours
    for space in sorted({experiment.space for experiment in assimilated}):
        yield Estimate(f"estimate-background-error-{space}", steps * networks.step.operations)
    for name in names:
        yield _cycling(run, networks, name)


def _datasets(run: Run, experiments: Sequence[str]) -> Iterator[Estimate]:
    """What is downloaded, and stores of states with a file per day, but test datasets of other experiments."""
    if run.config.source.needs_download:
        asked = volume(run)
        yield Estimate(
            "download-month, all",
            asked.grib_bytes,
            disk=asked.grib_bytes,
            files=2 * asked.requests,
            requests=asked.requests,
        )
    state = len(run.channels) * run.grid.shape[0] * run.grid.shape[1] * BYTES
    tested = {run.config.experiments[name].dataset for name in experiments}
    for name, dataset in run.config.datasets.items():
        if dataset.use == "test" and name not in tested:
            continue
        days = (dataset.end - dataset.begin).days
        size = days * 24 // run.config.step_hours * state
        yield Estimate(f"generate-dataset-{name}", size, disk=size, files=days)


def _training(job: str, training: Training, work: Work, weights: int, devices: int) -> Estimate:
    samples = sum(phase.steps * phase.rollout for phase in training.phases) * training.batch_size
    held = max(phase.rollout for phase in training.phases) * training.batch_size * work.saved / devices
    half = 1.0 if training.precision == "32-true" else 0.5  # `auto` is bfloat16 on a GPU
    memory = OPTIMISER_BYTES * weights + half * held
    return Estimate(job, samples * TRAINING * work.operations, memory, disk=2 * OPTIMISER_BYTES * weights, files=6)


def _cycling(run: RunWithNetworks, networks: Networks, name: str) -> Estimate:
    chosen, config = run.config.experiments[name], run.config
    days = cycled_days(config, name)
    windows, slots = days * 24 // chosen.window_hours, days * 24 // chosen.slot_hours
    steps = chosen.span_hours // config.step_hours
    one = networks.step * steps
    if chosen.autoencoder is not None:
        one = one + networks.decode(chosen.autoencoder)
    passes = GRADIENT * config.minimiser.evaluations if chosen.variational else 1
    held = one.saved / (max(steps, 1) if config.minimiser.recompute else 1) if chosen.variational else 0.0
    kinds = 3 if chosen.has_spread else 2
    values = slots * len(run.channels) * run.grid.shape[0] * run.grid.shape[1]
    return Estimate(
        f"cycle-experiment-{name}",
        windows * chosen.members * passes * one.operations,
        memory=chosen.members * held,
        disk=kinds * values * BYTES + slots * rows_per_time(config) * (OBSERVATION_BYTES + FEEDBACK_BYTES),
        files=kinds * len(run.channels.variables) * days,
    )


def cycled_days(config: Config, name: str) -> int:
    """Days that an experiment cycles, those in which its streams spin up included."""
    chunks = config.production.chunks(name)
    return sum((chunk.end - chunk.begin).days for chunk in chunks) if chunks else config.experiments[name].days


def rows_per_time(config: Config) -> int:
    """Data of the network at one time."""
    upper = len(config.state.upper_air) * len(config.state.levels)
    return config.observations.columns * upper + config.observations.surface_stations * len(config.state.surface)


def _rates(layout: Layout) -> dict[str, float]:
    """Amount per second by kind of job, over all of a measured run."""
    jobs = jobs_of(configuration.load(layout.config))
    timed = [(job, layout.benchmark(job.job)) for job in jobs]
    seconds = [(job, float(pd.read_csv(path, sep="\t")["s"].iloc[-1])) for job, path in timed if path.exists()]
    if not seconds:
        raise FileNotFoundError(f"no benchmark of a job in {layout.root}: name a run that was made")
    spent = pd.DataFrame([{"kind": job.kind, "amount": job.amount, "seconds": took} for job, took in seconds])
    sums = spent.groupby("kind").sum()
    return (sums["amount"] / sums["seconds"]).to_dict()
