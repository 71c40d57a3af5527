"""Figures that compare methods: OSSE, tuning, minimisers, batches, ensembles, single observations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from lara.experiment.saving import keep_fields, keep_table
from lara.stages.experiments import evaluation_begin
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run
from lara.stages.verification.comparison import block_length
from lara.verification import ensemble
from lara.verification.figures import batching, maps, minimisers, osse, single_observation, spread_skill, tuning


def figures(run: Run) -> dict[str, Callable[[RunWithNetworks], Figure]]:
    """Figures of a run by name, as far as its configuration has something for them to show."""
    found: dict[str, Callable[[RunWithNetworks], Figure]] = {"minimisers": draw_minimisers, "batching": draw_batching}
    if run.config.suite("osse"):
        found["osse"] = draw_osse
    if tuned(run):
        found["tuning"] = draw_tuning
    for name in (name for name, experiment in run.config.experiments.items() if experiment.has_spread):
        found[f"spread_skill_{name}"] = partial(draw_spread_skill, name=name)
    for name, case in run.config.single_observations.items():
        if case.level is not None:
            found[f"single_observation_{name}"] = partial(draw_single_observation, name=name)
    return found


def tuned(run: Run) -> list[str]:
    """Experiments whose factors are searched for, of the suites that share a figure."""
    return [name for name, e in run.config.experiments.items() if e.tuned and e.suite in ("reanalysis", "osse")]


def draw_osse(run: Run) -> Figure:
    """Analysis and forecast errors of every method, with paired intervals."""
    return osse.draw(keep_table(run, "osse", pd.read_csv(run.layout.osse)))


def draw_tuning(run: Run) -> Figure:
    """Likelihood of innovations against every factor."""
    parts = [pd.read_csv(run.layout.tuning_trials(name)) for name in tuned(run)]
    return tuning.draw(keep_table(run, "tuning", pd.concat(parts, ignore_index=True)))


def draw_minimisers(run: Run) -> Figure:
    """Convergence of the minimisers on the same windows."""
    return minimisers.draw(keep_table(run, "minimisers", pd.read_csv(run.layout.comparison("minimisers"))))


def draw_batching(run: Run) -> Figure:
    """Throughput against the number of windows minimised at once."""
    return batching.draw(keep_table(run, "batching", pd.read_csv(run.layout.comparison("batching"))))


def draw_spread_skill(run: Run, name: str) -> Figure:
    """Spread against error of an ensemble, and ranks of the truth."""
    sums = xr.load_dataset(run.layout.ensemble_scores(name))
    begin = evaluation_begin(run, name)
    block = block_length(sums.sel(time=slice(begin, None)).sizes["time"], run.config.step_hours)
    scores = ensemble.evaluate(sums, begin, block, run.generator("bootstrap"))
    return spread_skill.draw(keep_fields(run, f"spread_skill_{name}", scores), list(run.config.verification.headline))


def draw_single_observation(run: Run, name: str) -> Figure:
    """Increments of one observation in every space."""
    fields = keep_fields(run, f"single_observation_{name}", xr.load_dataset(run.layout.increments(name)))
    return single_observation.draw(fields, maps.land(run.grid))
