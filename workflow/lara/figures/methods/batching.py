"""Throughput of assimilation against the number of windows minimised at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lara.figures import style
from lara.stages.reading import read_csv
from lara.verification.throughput import by_batch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "minimisers"
KEPT_AS = "csv"
CAPTION = "Windows per second against the number minimised at once."


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Table of the comparison."""
    return [layout.comparison("batching")]


def gather(run: Run) -> pd.DataFrame:
    """The table of `stages.benchmarks.minimisers`."""
    return read_csv(run.layout.comparison("batching"))


def draw(table: pd.DataFrame) -> Figure:
    """Windows per second and seconds per gradient of one window against the batch, medians and range of the repeats.

    `table` has columns batch, seconds (s), windows, evaluations (summed over the windows), repeat.
    """
    found = by_batch(table)
    figure, (rate, gradient) = style.panels(2, width=4.6, height=3.5)
    _line(rate, found, "rate", style.BLUE)
    first = found.loc[found["batch"] == 1, "rate"].item()
    ends = found["batch"].iloc[[0, -1]]
    rate.plot(ends, first * ends, color=style.GREY, linestyle="--", linewidth=1, label="in proportion to the batch")
    for row in found.to_dict("records"):
        offset: dict[str, Any] = {"xytext": (0, -13), "textcoords": "offset points", "ha": "center", "fontsize": 8}
        rate.annotate(f"×{row['relative']:.2f}", (row["batch"], row["rate_low"]), **offset)
    rate.set(ylabel="windows per second (s⁻¹)", title="throughput, × that of one at a time")
    rate.margins(x=0.1, y=0.15)
    rate.legend(loc="upper left")
    _line(gradient, found, "gradient", style.RED)
    gradient.set(ylabel="seconds per gradient of one window (s)", title="cost of a gradient")
    repeats = sorted({int(n) for n in found["n"]})
    figure.suptitle(f"Median and range of n = {'–'.join(map(str, repeats))} repeats", fontsize=9)
    return figure


def _line(axes: Axes, found: pd.DataFrame, name: str, colour: str) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    below, above = found[name] - found[f"{name}_low"], found[f"{name}_high"] - found[name]
    axes.errorbar(found["batch"], found[name], yerr=[below, above], fmt="o-", color=colour, capsize=3, markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="windows minimised at once")
    axes.set_xticks(found["batch"], [f"{batch}" for batch in found["batch"]])
    axes.tick_params(axis="x", which="minor", bottom=False)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.1)
