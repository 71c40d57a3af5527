"""Cost above its minimum against the work of each minimiser on the same windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lara.figures import style
from lara.stages.reading import read_csv
from lara.verification.convergence import bands, medians, to_within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "minimisers"
KEPT_AS = "csv"
CAPTION = "Excess of J over its minimum against gradients, minimiser by minimiser."
LOOKS = (
    *((style.BLUE, "-", "o"), (style.RED, "--", "s"), (style.GREEN, "-.", "^"), (style.PURPLE, ":", "D")),
    *((style.ORANGE, "-", "v"), (style.SKY, "--", "P"), (style.BLACK, "-.", "X")),
)
FRACTION = 0.01  # of J*, within which a minimiser counts as having come near
LOWEST = 1e-3  # % above J*; nearer is of no use, and on a logarithmic axis without end


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Table of the comparison."""
    return [layout.comparison("minimisers")]


def gather(run: Run) -> pd.DataFrame:
    """The table of `stages.benchmarks.minimisers`."""
    return read_csv(run.layout.comparison("minimisers"))


def draw(table: pd.DataFrame) -> Figure:
    """Per cent above J* against evaluations, and the evaluations and seconds to come within FRACTION.

    Medians with the quartiles over windows. `table` has columns method, window, evaluation, value, best, converged
    (1), seconds (s), as `convergence.excess` describes them. ValueError for more methods than can be told apart.
    """
    methods = [str(name) for name in table["method"].unique()]
    if len(methods) > len(LOOKS):
        raise ValueError(f"{len(methods)} methods cannot be told apart; draw at most {len(LOOKS)} of {methods}")
    looks = dict(zip(methods, LOOKS, strict=False))
    figure = style.figure(12.5, 4.3)
    curves, evaluations, seconds = figure.subplots(1, 3, width_ratios=[1.5, 1, 1])
    _curves(curves, bands(table), looks)
    reached = medians(to_within(table, FRACTION))
    for axes, name, unit in (
        (evaluations, "evaluations", "evaluations of J and its gradient"),
        (seconds, "seconds", "wall time (s)"),
    ):
        _dots(axes, reached, name, looks)
        axes.set(xlabel=unit, title=f"{name} to within {FRACTION:.0%} of J*")
    seconds.set_yticklabels([])
    figure.suptitle("Medians and quartiles over the windows", fontsize=9)
    return figure


def _curves(axes: Axes, band: pd.DataFrame, looks: dict[str, tuple[str, str, str]]) -> None:
    for method, rows in band.groupby("method", sort=False):
        colour, dashes, _ = looks[str(method)]
        low, middle, high = (np.maximum(100 * rows[name], LOWEST) for name in ("low", "median", "high"))
        label = f"{method}, n = {rows['n'].max()}"
        axes.plot(rows["evaluation"], middle, color=colour, linestyle=dashes, label=label)
        axes.fill_between(rows["evaluation"], low, high, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(100 * FRACTION, color=style.GREY, linewidth=1)
    axes.set(xlabel="evaluations of J and its gradient", ylabel="J above its minimum J* (%)", yscale="log")
    axes.set_ylim(bottom=LOWEST)
    axes.set_xlim(left=1)
    axes.set_title("lowest J so far")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)


def _dots(axes: Axes, reached: pd.DataFrame, name: str, looks: dict[str, tuple[str, str, str]]) -> None:
    finite = reached[[name, f"{name}_high"]].to_numpy()
    end = 1.25 * np.max(finite[np.isfinite(finite)], initial=1e-9)
    for height, row in enumerate(reached.to_dict("records")):
        colour, _, marker = looks[row["method"]]
        if np.isfinite(row[f"{name}_low"]):
            axes.plot([row[f"{name}_low"], min(row[f"{name}_high"], end)], [height, height], color=colour)
        if np.isfinite(row[name]):
            axes.plot([row[name]], [height], marker, color=colour, markersize=7)
        value = f"{row[name]:.3g}" if np.isfinite(row[name]) else "most never"
        text = f"{value} ({row['reached']} of {row['n']} windows)"
        axes.text(0.02, height - 0.2, text, fontsize=7, va="bottom", transform=axes.get_yaxis_transform())
    axes.set_yticks(range(len(reached)), reached["method"])
    axes.set_ylim(len(reached) - 0.5, -0.7)
    axes.set_xlim(0, end)
