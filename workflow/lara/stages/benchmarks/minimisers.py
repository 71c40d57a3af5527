"""Minimisers compared on the same windows of the reference experiment: gradients, seconds, batches, overhead.

Windows come from the reference experiment's archive: its own backgrounds, observations, B and networks. J* is the
lowest value that any method reaches with twice the evaluations that are configured.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lara import store
from lara.assimilation.adam import Adam
from lara.assimilation.control import DiagonalControl
from lara.assimilation.cost import CostFunction
from lara.assimilation.cycle import Scheme, Start, assimilate, cost_function
from lara.assimilation.gaussnewton import GaussNewton
from lara.assimilation.lbfgs import LBFGS
from lara.assimilation.minimise import Minimum, minimise
from lara.assimilation.search import Descent, Tolerance
from lara.assimilation.window import Window
from lara.observations import batches
from lara.stages.covariance.factors import factors
from lara.stages.experiments import all_windows, evaluation_begin
from lara.stages.networks import RunWithNetworks
from lara.stages.observations.reader import ObservationReader
from lara.stages.reanalysis.variational import scheme
from lara.stages.states import states_of
from lara.stages.writing import write_csv

WINDOWS = 20
BATCHES = (1, 2, 4, 8, 16)
REPEATS = 2
EXACT = Tolerance(1e-5, 1e-7)  # beyond any tolerance in use, so that J* is the minimum
Progress = Callable[[int, int], None]


class Cases:
    """Windows of the reference experiment with the backgrounds it had there."""

    def __init__(self, run: RunWithNetworks) -> None:
        self.run, self.name = run, run.config.verification.reference
        chosen = run.config.experiments[self.name]
        period = all_windows(run, self.name)
        self.windows = [window for window in period if window.begin >= evaluation_begin(run)][:WINDOWS]
        self.read = ObservationReader(run, self.name, chosen.dataset, [factors(run, self.name).observation])
        self.archive = store.open_archive(run.layout.archive(self.name))
        first = self.windows[0]
        self.scheme: Scheme = scheme(run, self.name, [factors(run, self.name)], self.background([first]), first)

    def background(self, windows: Sequence[Window]) -> Tensor:
        """x_b of windows (b, c, y, x)."""
        states = self.archive.sel(time=[window.begin for window in windows])
        return self.run.tensor(states_of(self.run, states, "_background"))

    def observations(self, windows: Sequence[Window]) -> batches.ObservationBatch:
        """Data of windows in one batch."""
        return batches.stack([self.read(window) for window in windows])

    def cost(self, windows: Sequence[Window]) -> CostFunction:
        """J of windows in one batch."""
        return cost_function(windows, self.background(windows), self.observations(windows), self.scheme)


def methods(cases: Cases) -> dict[str, Descent]:
    """The methods compared, each allowed to converge."""
    control = cases.scheme.control
    assert isinstance(control, DiagonalControl), "the released Adam works in a latent space with a diagonal B"
    limit = 2 * cases.run.config.minimiser.evaluations
    history = cases.run.config.minimiser.history
    return {
        "L-BFGS": LBFGS(history, limit, EXACT, carry=False),
        "L-BFGS, carried": LBFGS(history, limit, EXACT, carry=True),
        "Gauss-Newton": GaussNewton(12, cases.run.config.minimiser.inner, 0.1, EXACT),
        "Adam as released": Adam(control.variance[0].sqrt(), evaluations=limit),
    }


def write_minimisers(run: RunWithNetworks, progress: Progress) -> None:
    """Write the comparison of minimisers."""
    write_csv(compare_minimisers(run, progress), run.layout.comparison("minimisers"))


def write_batches(run: RunWithNetworks, progress: Progress) -> None:
    """Write the comparison of batches."""
    write_csv(compare_batches(run, progress), run.layout.comparison("batching"))


def write_overhead(run: RunWithNetworks, progress: Progress) -> None:
    """Write the times of analyses over those of bare passes."""
    write_csv(measure_overhead(run, progress), run.layout.comparison("overhead"))


def compare_minimisers(run: RunWithNetworks, progress: Progress) -> pd.DataFrame:
    """One row per method, window and evaluation; products of Gauss-Newton count as evaluations (see `_rows`)."""
    cases, rows = Cases(run), []
    memories: dict[str, object] = {}
    ways = methods(cases)
    for number, window in enumerate(cases.windows):
        cost = cases.cost([window])
        for name, method in ways.items():
            begin = clock.perf_counter()
            least = minimise(cost, cost.zeros(), method, [memories.get(name)])[0]
            seconds, memories[name] = clock.perf_counter() - begin, least.memory
            rows += _rows(name, str(window), least, seconds)
        progress(number + 1, len(cases.windows))
    table = pd.DataFrame(rows)
    return table.assign(converged=table.groupby("window")["best"].transform("min"))


def _rows(name: str, window: str, least: Minimum, seconds: float) -> list[dict[str, object]]:
    """The trace, its evaluations and seconds spread evenly over it; a curvature product counts as one evaluation."""
    share = 1 + least.products / len(least.trace)
    return [
        {
            "method": name,
            "window": window,
            "evaluation": round(record.evaluation * share),
            "value": record.value,
            "best": record.best,
            "seconds": seconds * record.evaluation / len(least.trace),
        }
        for record in least.trace
    ]


def compare_batches(run: RunWithNetworks, progress: Progress) -> pd.DataFrame:
    """Seconds of minimising windows 1, 2, 4 … at once, the same windows each time, in turn."""
    cases = Cases(run)
    windows, method = cases.windows[: max(BATCHES)], without_memory(cases.scheme.minimiser)
    rows = []
    for repeat in range(REPEATS):
        for number, batch in enumerate(BATCHES):
            costs = [cases.cost(windows[i : i + batch]) for i in range(0, len(windows), batch)]
            begin = clock.perf_counter()
            minima = [least for cost in costs for least in minimise(cost, cost.zeros(), method)]
            seconds = clock.perf_counter() - begin
            evaluations = sum(least.evaluations for least in minima)
            row = {"batch": batch, "seconds": seconds, "windows": len(minima), "evaluations": evaluations}
            rows.append({**row, "repeat": repeat, "J": sum(least.value for least in minima)})
            progress(repeat * len(BATCHES) + number + 1, REPEATS * len(BATCHES))
    return pd.DataFrame(rows)


def without_memory(method: Descent) -> Descent:
    """The same method without memory, so that every batch starts alike."""
    return replace(method, carry=False) if isinstance(method, LBFGS) else method


def measure_overhead(run: RunWithNetworks, progress: Progress) -> pd.DataFrame:
    """Seconds of a whole analysis over those of as many bare forward and backward passes of the networks.

    Bare: decode and steps of the window from a latent state, and the gradient of the sum of its states.
    """
    cases, rows = Cases(run), []
    cold = replace(cases.scheme, minimiser=without_memory(cases.scheme.minimiser))
    for number, window in enumerate(cases.windows):
        start, observations = Start(cases.background([window])), cases.observations([window])
        begin = clock.perf_counter()
        analysis = assimilate([window], start, observations, cold)[0]
        seconds = clock.perf_counter() - begin
        assert analysis.minimum is not None
        bare = _bare_seconds(cases, window, repeats=5)
        evaluations = analysis.minimum.evaluations
        row = {"window": str(window), "seconds": seconds, "evaluations": evaluations, "bare_seconds": bare}
        rows.append({**row, "overhead": seconds / (evaluations * bare)})
        progress(number + 1, len(cases.windows))
    return pd.DataFrame(rows)


def _bare_seconds(cases: Cases, window: Window, repeats: int) -> float:
    """Median seconds of one forward and backward pass through decoder and steps."""
    model = cases.scheme.model
    with torch.no_grad():
        latent = model.encode(cases.background([window]))
    seconds = []
    for _ in range(repeats):
        begin = clock.perf_counter()
        leaf = latent.clone().requires_grad_(True)
        state = model.decode(leaf)
        total = state.sum()
        for slot in window.slots[:-1]:
            state = model.step(state, np.array([slot]))
            total = total + state.sum()
        torch.autograd.grad(total, leaf)
        seconds.append(clock.perf_counter() - begin)
    return float(np.median(seconds))
