"""Cost of an analysis, method by method: gradients, seconds and memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lara.figures import style
from lara.stages.reading import read_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "figures"
KEPT_AS = "csv"
CAPTION = "Seconds, gradients of J and memory per analysis, method by method, on this machine."
NEEDS = "a variational experiment of the suite `reanalysis` or `osse`"
HEADINGS = {
    "experiment": "experiment",
    "method": "method",
    "slots": "slots",
    "windows": "windows (n)",
    "evaluations": "gradients of J\nper analysis",
    "seconds": "seconds\nper analysis",
    "seconds_per_slot": "seconds\nper slot",
    "peak_memory_mb": "peak memory\nof the job (MB)",
}


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Health and timings of the variational experiments of the suites `reanalysis` and `osse`."""
    return [path for name in _shown(config) for path in (layout.health(name), layout.timings(name))]


def _shown(config: Config) -> list[str]:
    names = [name for suite in ("reanalysis", "osse") for name in config.suite(suite)]
    return [name for name in names if config.experiments[name].variational]


def gather(run: Run) -> pd.DataFrame:
    """A row per experiment with the columns of HEADINGS; evaluations and seconds are medians after the spin-up."""
    return pd.DataFrame([_cost(run, name) for name in _shown(run.config)])


def _cost(run: Run, name: str) -> dict[str, object]:
    from lara.stages.experiments import evaluation_begin

    chosen = run.config.experiments[name]
    health, timings = (read_table(path) for path in (run.layout.health(name), run.layout.timings(name)))
    windows = health.merge(timings, on="begin", validate="many_to_one")
    after = windows[pd.to_datetime(windows["begin"]) >= evaluation_begin(run, name)]
    seconds = float(after["seconds"].median())
    return {
        "experiment": name,
        "method": chosen.method,
        "slots": chosen.slots,
        "windows": len(after),
        "evaluations": float(after["evaluations"].median()),
        "seconds": seconds,
        "seconds_per_slot": seconds / chosen.slots,
        "peak_memory_mb": float(after["peak_memory_MB"].max()),
    }


def draw(table: pd.DataFrame) -> Figure:
    """A row per experiment under HEADINGS."""
    shown = table[list(HEADINGS)].astype(object)
    cells = [[_text(value) for value in row] for row in shown.itertuples(index=False)]
    figure = style.figure(10.5, 0.9 + 0.3 * len(cells))
    axes = figure.subplots()
    axes.axis("off")
    drawn = axes.table(cells, colLabels=list(HEADINGS.values()), loc="center", cellLoc="right", edges="horizontal")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8)
    drawn.auto_set_column_width(list(range(len(HEADINGS))))
    drawn.scale(1.0, 1.35)
    for column in range(len(HEADINGS)):
        drawn[0, column].set_height(1.7 * drawn[0, column].get_height())
    axes.set_title("medians over the windows after the spin-up", fontsize=9)
    return figure


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
