"""States of a simulated member, month by month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lara.config import Simulated
from lara.stages.data.month import Month, Report, Span
from lara.stages.run import Run, time


def months(run: Run, dataset: str, wanted: Sequence[Span], report: Report) -> Iterator[Month]:
    """Months of a simulated member from the first that is wanted on."""
    from lara.sources import simulated

    chosen, source = run.config.datasets[dataset], run.config.source
    assert isinstance(source, Simulated)
    simulation = simulated.Simulation(**source.model_dump(exclude={"kind"}), seed=run.config.seed)
    begin, end = time(chosen.begin), time(chosen.end)
    levels, restarts = run.config.state.levels, run.layout.restarts
    for _, states in simulated.months(simulation, chosen.member, begin, end, levels, restarts, report, wanted[0][0]):
        times = states["time"].values
        yield Month((times[0], times[-1] + run.step), run.channels.from_dataset(states))
