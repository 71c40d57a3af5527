"""Relative error against wall time on linear-Gaussian problems, beside the analytic answer and ADAO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lara.figures import style
from lara.stages.reading import read_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "peers"
KEPT_AS = "csv"
CAPTION = "Error against the analytic answer, and time, beside ADAO."
MARKERS = "osD^vP*X"


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Table of the comparison."""
    return [layout.comparison("linear_gaussian")]


def gather(run: Run) -> pd.DataFrame:
    """Rows of problem, n, observations, package, method, error (1), seconds (s), and `goal`, the error asked for."""
    from lara.stages.benchmarks.peers import GOAL

    return read_csv(run.layout.comparison("linear_gaussian")).assign(goal=GOAL)


def draw(table: pd.DataFrame) -> Figure:
    """Relative error against wall time, a panel per problem and size."""
    groups, markers = list(table.groupby(["problem", "n"], sort=False)), _markers(table)
    figure, panels = style.panels(len(groups), width=3.2, height=2.8, columns=len(groups) // 2 or 1)
    for axes, ((problem, n), rows) in zip(panels, groups, strict=True):
        for package, method, seconds, error in rows[["package", "method", "seconds", "error"]].itertuples(index=False):
            shown = {"color": style.PACKAGES[package], "marker": markers[package, method], "linestyle": "none"}
            axes.loglog(seconds, error, label=f"{package}: {method}", markersize=7, **shown)
        axes.axhline(rows["goal"].iloc[0], color=style.GREY, linestyle="--", linewidth=1)
        axes.set(title=f"{problem}, n = {n}, p = {rows['observations'].iloc[0]}", xlabel="wall time (s)")
        axes.set(ylabel="error / increment (1)", xlim=_range(table["seconds"]), ylim=_range(table["error"]))
    labelled = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(labelled.values(), labelled.keys(), loc="outside lower center", ncols=3)
    return figure


def _markers(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    """One marker per method of a package, the same in every panel."""
    methods = table[["package", "method"]].drop_duplicates()
    position = methods.groupby("package").cumcount()
    return {
        (package, method): MARKERS[i % len(MARKERS)]
        for (package, method), i in zip(methods.itertuples(index=False), position, strict=True)
    }


def _range(values: pd.Series) -> tuple[float, float]:
    """Limits of a logarithmic axis around all values."""
    return 0.5 * values.min(), 2.0 * values.max()
