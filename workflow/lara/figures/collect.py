"""Costs of the default target's jobs in one table, the drawing of its figures among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lara import figures
from lara.stages.benchmarks import job_costs

if TYPE_CHECKING:
    from lara.stages.run import Run


def write_costs(run: Run) -> None:
    """Write what every job of the default target cost, a row for each."""
    drawn = figures.drawn_by("all", run.config, run.layout)
    job_costs.cost_table(run, drawn).to_csv(run.layout.costs, index=False)
