"""Wall time, processor time and peak memory of every job of the default target."""

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

TARGET = "benchmarks"
KEPT_AS = "csv"
CAPTION = "Wall time, processor time and peak memory of every job."


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Table of the costs."""
    return [layout.costs]


def gather(run: Run) -> pd.DataFrame:
    """A row per job: job, wall_s, processor_s (s), peak_mib (MiB)."""
    return read_csv(run.layout.costs)


def draw(table: pd.DataFrame) -> Figure:
    """A bar per job, the shortest below."""
    rows = table.sort_values("wall_s").reset_index(drop=True)
    figure, (time, memory) = style.panels(2, width=4.6, height=0.6 + 0.17 * len(rows))
    time.barh(rows.index, rows["processor_s"] / 60, color="0.8", label="processor time")
    time.barh(rows.index, rows["wall_s"] / 60, height=0.35, color=style.BLUE, label="wall time")
    time.set(xlabel="minutes", title=f"{rows['wall_s'].sum() / 60:.1f} job minutes in n = {len(rows)} jobs")
    time.set_yticks(rows.index, rows["job"], fontsize=6)
    time.legend(loc="lower right")
    memory.barh(rows.index, rows["peak_mib"] / 1024, color=style.ORANGE)
    memory.set(xlabel="peak memory (GiB)", title="memory")
    memory.set_yticks(rows.index, [])
    return figure
