"""Time of a run on this machine, from a probe of about ten seconds: a few steps of each network, timed.

A job of `estimate` has an amount of operations; the probe tells how many of them a second holds for its kind. The
simulated atmosphere takes too long to start for a probe: its speed is that of the machine on which it was measured,
times how fast elementary functions are here and were there. Downloads wait in a queue that no probe can see.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from lara import config as configuration
from lara import device
from lara.config import Config, Simulated, Training
from lara.layout import Layout
from lara.precision import choose, native_bfloat16
from lara.stages.benchmarks.estimate import DATA, Estimate, Networks, jobs_of
from lara.stages.benchmarks.operation_counts import GRADIENT, TRAINING, Work
from lara.stages.networks import RunWithNetworks

LONG = 1.0  # hours of a run that a user is warned of
SECONDS = 2.0  # for each kind of step
DAY, START = 0.24, 25.0  # seconds per simulated day and to compile, where ELEMENTARY was measured
ELEMENTARY = 2.6e9  # values per second of np.exp in float32 there, a core of an Intel Xeon (Sapphire Rapids)
USED_EVALUATIONS = 0.4  # of the most that a minimisation may take, in the default run
OTHER_JOBS = 1.3  # time of all jobs over that of those estimated, in the default run
BEGIN = 5.0  # seconds in which a job starts
STAGES = (  # kinds of job that run side by side, in order
    ("generate-dataset",),
    ("train-autoencoder", "train-forecaster"),
    ("estimate-background-error",),
    ("cycle-experiment",),
)
PRECISIONS = ("32-true", "bf16-mixed")
PROBED = [kind for stage in STAGES for kind in stage]


def probe(config: Config) -> list[Estimate]:
    """The larger jobs of the default target, with their hours on one thread of this machine; None for downloads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = RunWithNetworks(config, Layout(Path("results") / config.name))
        jobs, rates = jobs_of(config, suites=("reanalysis",)), _rates(run)
    finally:
        torch.set_num_threads(threads)
    seconds = [_data_seconds(run, job) if job.kind in DATA else job.amount / rates[job.kind] for job in jobs]
    return [replace(job, hours=None if s is None else (s + BEGIN) / 3600) for job, s in zip(jobs, seconds, strict=True)]


def told(path: Path, cores: int) -> str:
    """How long the default target takes on this machine, with a remedy where that is over an hour."""
    chosen = configuration.load(path)
    jobs = probe(chosen)
    hours = hours_in_all(jobs, cores)
    by_kind = {kind: 60 * sum(job.hours or 0.0 for job in jobs if job.kind == kind) for kind in PROBED}
    parts = ", ".join(f"{kind} {minutes:.0f}" for kind, minutes in by_kind.items())
    lines = [
        f"run '{chosen.name}' on {cores} cores of this machine: about {60 * hours:.0f} minutes ({parts} on one core)"
    ]
    if any(job.hours is None for job in jobs):
        lines.append("downloads are not in this: they wait in the store's queue")
    if hours > LONG:
        lines.append(
            f"that is over {LONG:.0f} h: try the workflow with --configfile config/tiny.yaml, lower "
            "training.phases.*.steps, or train on a GPU"
        )
    return "\n".join(lines)


def hours_in_all(jobs: Sequence[Estimate], cores: int) -> float:
    """Hours from start to end on so many cores: data, networks, B, analyses in turn, the jobs of each side by side."""
    parts = [[job.hours or 0.0 for job in jobs if job.kind in stage] for stage in STAGES]
    return OTHER_JOBS * sum(side_by_side(part, cores) for part in parts)


def side_by_side(hours: Sequence[float], cores: int) -> float:
    """Time until jobs of these lengths are done on so many cores, the longest first."""
    ends = [0.0] * cores
    for length in sorted(hours, reverse=True):
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def _rates(run: RunWithNetworks) -> dict[str, float]:
    """Operations per second by kind of job."""
    networks, config = Networks(run), run.config
    trained = [name for name in config.default_autoencoders if config.autoencoders[name].kind == "transformer"]
    step, one = networks.step, (1, *networks.state_shape)
    forecaster = networks.forecaster().to(run.device)
    rates = {
        "train-forecaster": _training_rate(run, forecaster, step, config.forecaster.training),
        "estimate-background-error": _rate(lambda state: forecaster(state).sum(), one, step.operations, run.device),
        "cycle-experiment": _rate(
            lambda state: forecaster(state).sum().backward(), one, GRADIENT * step.operations, run.device
        )
        / USED_EVALUATIONS,
    }
    if trained:
        name = trained[0]
        autoencoder = run.new_autoencoder(name).to(run.device)
        work, training = networks.reconstruct(name), config.autoencoders[name].training
        rates["train-autoencoder"] = _training_rate(run, autoencoder, work, training)
    return rates


def step_times(config: Config) -> pd.DataFrame:
    """Seconds of an optimiser step of each network in each precision: columns network, batch, precision, s_per_step."""
    run = RunWithNetworks(config, Layout(Path("results") / config.name))
    trained = [name for name in config.default_autoencoders if config.autoencoders[name].kind == "transformer"]
    networks: list[tuple[str, nn.Module, Training]] = [
        (name, run.new_autoencoder(name), config.autoencoders[name].training) for name in trained[:1]
    ]
    networks.append(("forecaster", Networks(run).forecaster(), config.forecaster.training))
    rows = []
    for name, module, training in networks:
        for precision in PRECISIONS:
            step = _training_step(run, module.to(run.device), precision)
            seconds = 1 / _rate(step, _batch(run, training), 1.0, run.device)
            rows.append({"network": name, "batch": training.batch_size, "precision": precision, "s_per_step": seconds})
    return pd.DataFrame(rows)


def steps_told(path: Path) -> str:
    """Seconds of an optimiser step by network and precision, on the threads that there are."""
    where = native_bfloat16(device.choose())[1]
    table = step_times(configuration.load(path)).to_string(index=False, float_format="{:.3f}".format)
    return f"threads: {torch.get_num_threads()}; {where}\n{table}"


def _training_rate(run: RunWithNetworks, module: nn.Module, work: Work, training: Training) -> float:
    """Operations per second of optimiser steps in the precision that a training would have here."""
    step = _training_step(run, module, choose(training.precision, run.device).value)
    return _rate(step, _batch(run, training), TRAINING * work.operations * training.batch_size, run.device)


def _batch(run: RunWithNetworks, training: Training) -> tuple[int, ...]:
    """Shape of the states of an optimiser step."""
    return training.batch_size, len(run.channels), *run.grid.shape


def _training_step(run: RunWithNetworks, module: nn.Module, precision: str) -> Callable[[torch.Tensor], None]:
    """An optimiser step on states."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-6, fused=True)

    def step(states: torch.Tensor) -> None:
        with torch.autocast(run.device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = (module(states).float() - states).square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def _rate(step: Callable[[torch.Tensor], object], shape: tuple[int, ...], amount: float, device: torch.device) -> float:
    """Amount per second of steps on random states, the first of which does not count."""
    states = torch.randn(shape, device=device, requires_grad=True)
    step(states)
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < SECONDS:
        step(states)
        done += 1
    return amount * done / (time.perf_counter() - begin)


def _data_seconds(run: RunWithNetworks, job: Estimate) -> float | None:
    """Seconds in which the simulated atmosphere makes a dataset; None for what is downloaded."""
    source = run.config.source
    if not isinstance(source, Simulated):
        return None
    dataset = run.config.datasets[job.job.removeprefix("generate-dataset-")]
    slower = ELEMENTARY / _elementary_rate()
    return slower * (START + DAY * (dataset.length.days + source.spin_up_days))


def _elementary_rate(turns: int = 1000) -> float:
    """Values of np.exp in float32 per second."""
    values = np.linspace(-1.0, 1.0, 10**5, dtype=np.float32)
    result, begin = np.empty_like(values), time.perf_counter()
    for _ in range(turns):
        np.exp(values, out=result)
    return turns * len(values) / (time.perf_counter() - begin)
