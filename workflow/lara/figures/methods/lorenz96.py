"""Error of cycled 4D-Var of Lorenz-96 and its cost, beside the methods of DAPPER."""

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
CAPTION = "Cycled Lorenz-96 beside the methods of DAPPER."


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Table of the comparison."""
    return [layout.comparison("lorenz96")]


def gather(run: Run) -> pd.DataFrame:
    """Rows of package, method, filter_rmse, smoother_rmse, stated_rmse (1), processor_seconds (s), times."""
    return read_csv(run.layout.comparison("lorenz96"))


def draw(table: pd.DataFrame) -> Figure:
    """RMSE of filter and smoother estimates as bars, and processor time."""
    rows = table.sort_values("filter_rmse", ascending=False).reset_index(drop=True)
    figure, (skill, cost) = style.panels(2, width=5.2, height=1.2 + 0.26 * len(rows))
    colours = [style.PACKAGES[package] for package in rows["package"]]
    skill.barh(rows.index, rows["filter_rmse"], color=colours, alpha=0.6)
    skill.plot(rows["smoother_rmse"], rows.index, "D", color=style.BLACK, markersize=4, label="smoother")
    skill.plot(rows["stated_rmse"], rows.index, "|", color=style.BLACK, markersize=14, label="stated by its authors")
    skill.set(xlabel="analysis RMSE (σ_o)", title=f"Lorenz-96, n = {rows['times'].max()} times; bars: filter")
    skill.legend(loc="upper right")
    cost.barh(rows.index, rows["processor_seconds"], color=colours, alpha=0.6)
    cost.set(xlabel="processor time (s)", title="cost of the whole stretch")
    for axes in (skill, cost):
        axes.set_yticks(rows.index, [f"{p}: {m}" for p, m in zip(rows["package"], rows["method"], strict=True)])
    cost.set_yticks(rows.index, [])
    return figure
