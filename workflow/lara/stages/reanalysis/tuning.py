"""Factors on B and R of an experiment by maximum likelihood of innovations, found the same way for every method.

    ℓ = mean over data of −½ log 2π s_i² − ½ d_i² / s_i²,   d = y − H(x_b),   s_i² = (HBHᵀ)_ii + R_ii

(Dee 1995, doi:10.1175/1520-0493(1995)123<1128:OLEOEC>2.0.CO;2, with innovations taken as independent). Each trial
cycles over the validation period with its own factors, so that x_b is what these factors lead to; d is taken at a
window's first slot, where B applies. All trials of a stage run in one batch. Stages: the factor on B, on the
correlation length (model space alone has one), on R, and the factor on B again, finer. No truth is used and nothing is
rejected, so that every trial is scored on the same data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from lara.assimilation.analysis import Analysis
from lara.assimilation.cycle import Start, assimilate, cycle
from lara.assimilation.window import Window
from lara.config import Factors
from lara.stages.experiments import windows_of
from lara.stages.networks import RunWithNetworks
from lara.stages.observations.reader import ObservationReader
from lara.stages.reanalysis.first_background import first_background
from lara.stages.reanalysis.variational import scheme
from lara.stages.run import Run, hours, time
from lara.stages.writing import write_csv, write_record

Progress = Callable[[int, int, str], None]
FINER = (0.55, 1.0, 1.8)  # of the best factor on B, in the last stage


def tune_experiment(run: RunWithNetworks, name: str, progress: Progress) -> None:
    """Write the best factors of an experiment, and what every trial scored."""
    best, tables = Factors(), []
    plan = list(_stages(run, name))
    for number, (key, values) in enumerate(plan):
        centre = best.background if number == len(plan) - 1 else 1.0
        trials = [best.model_copy(update={key: centre * value}) for value in values]
        table = _score(run, name, trials, partial(_report, progress, number, len(plan)))
        winner = int(table["log_likelihood"].argmax())
        best, last = trials[winner], number == len(plan) - 1
        tables.append(table.assign(stage=number + 1, chosen=last & (np.arange(len(table)) == winner)))
    scored = pd.concat(tables, ignore_index=True).rename(columns={"background": "scale"}).assign(experiment=name)
    if run.config.experiments[name].autoencoder is not None:
        scored["length"] = np.nan
    write_csv(scored, run.layout.tuning_trials(name))
    write_record(best.model_dump(), run.layout.tuning(name))


def _report(progress: Progress, stage: int, stages: int, done: int, total: int) -> None:
    progress(stage * total + done, stages * total, "")


def _stages(run: Run, name: str) -> Iterator[tuple[str, Sequence[float]]]:
    """Factor and values of every stage."""
    search = run.config.tuning
    yield "background", search.background
    if run.config.experiments[name].autoencoder is None:
        yield "length", search.length
    yield "observation", search.observation
    yield "background", FINER


def _score(
    run: RunWithNetworks, name: str, trials: Sequence[Factors], progress: Callable[[int, int], None]
) -> pd.DataFrame:
    """Factors, likelihood and normalised innovations of every trial."""
    search, sums = run.config.tuning, _Likelihood(len(trials))
    begin = time(run.config.datasets[search.dataset].begin) + hours(search.background_hours)
    period = windows_of(run.config.experiments[name], begin, begin + hours(24 * search.days))
    scored_from = begin + hours(24 * search.spin_up_days)
    for number, analyses in enumerate(_cycle(run, name, trials, period)):
        if analyses[0].window.begin >= scored_from:
            sums.add(analyses)
        progress(number + 1, len(period))
    return pd.DataFrame([trial.model_dump() for trial in trials]).assign(**sums.finish())


def _cycle(
    run: RunWithNetworks, name: str, trials: Sequence[Factors], period: Sequence[Window]
) -> Iterator[list[Analysis]]:
    """Analyses of the validation windows, one member per trial."""
    search = run.config.tuning
    background = first_background(run, search.dataset, search.background_hours)
    chosen = replace(scheme(run, name, trials, background, period[0]), check_threshold=None)
    read = ObservationReader(run, name, search.dataset, [trial.observation for trial in trials])
    start = Start(background.expand(len(trials), -1, -1, -1))
    return cycle(
        period, start, read, lambda windows, begin, data: assimilate(windows, begin, data, chosen), chosen.model.step
    )


class _Likelihood:
    """Sums over the used data of the first slots of windows, by trial."""

    def __init__(self, trials: int) -> None:
        self.log = torch.zeros(trials).double()
        self.square, self.count = self.log.clone(), self.log.clone()

    def add(self, analyses: Sequence[Analysis]) -> None:
        """Count one window's innovations."""
        for member, analysis in enumerate(analyses):
            fit = analysis.fit
            first = torch.isfinite(fit.error_std) & (fit.slot == 0)
            variance = (fit.background_std.double() ** 2 + fit.error_std.double() ** 2)[first]
            square = (fit.value.double() - fit.hofx_background.double())[first] ** 2 / variance
            self.log[member] -= 0.5 * (torch.log(2 * torch.pi * variance) + square).sum().cpu()
            self.square[member] += square.sum().cpu()
            self.count[member] += len(square)

    def finish(self) -> dict[str, np.ndarray]:
        """Means over the data."""
        mean = (self.log / self.count).numpy()
        rms = (self.square / self.count).sqrt().numpy()
        return {"log_likelihood": mean, "rms_normalised_innovation": rms, "n": self.count.numpy().astype(int)}
