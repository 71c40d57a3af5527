"""Cost, consistency 2 J_min / p (1 where errors are as assumed) and work of each cycle's minimisation."""

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

TARGET = "all"
KEPT_AS = "csv"
CAPTION = "Cost, consistency 2J_min/p (near 1 where errors are as assumed) and work of each cycle."
ACCEPTED = (0.7, 1.4)  # range that the mean of 2 J_min / p should fall in


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Health of the reference experiment."""
    return [layout.health(config.verification.reference)]


def gather(run: Run) -> pd.DataFrame:
    """A row per cycle: time, jb_start, jo_start, jb_end, jo_end (1), evaluations, two_j_over_p (1)."""
    health = read_table(run.layout.health(run.config.verification.reference))
    names = {"begin": "time", "2J/p": "two_j_over_p"}
    names |= {f"J{term}_{end}": f"j{term}_{end}" for term in "bo" for end in ("start", "end")}
    return health.rename(columns=names)[[*names.values(), "evaluations"]]


def draw(cycles: pd.DataFrame) -> Figure:
    """Cost, consistency and work over the cycles."""
    cycles = cycles.assign(time=pd.to_datetime(cycles["time"]))
    figure, (cost, consistency, work) = style.panels(3, width=4.0, height=3.0)
    cost.plot(cycles["time"], cycles["jb_start"] + cycles["jo_start"], color=style.BLACK, label="J at the start")
    cost.plot(cycles["time"], cycles["jo_end"], color=style.BLUE, label="J_o at the end")
    cost.plot(cycles["time"], cycles["jb_end"], color=style.RED, label="J_b at the end")
    cost.set(yscale="log", ylabel="cost (1)", title=f"cost, n = {len(cycles)} cycles")
    cost.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
    mean = cycles["two_j_over_p"].mean()
    consistency.plot(cycles["time"], cycles["two_j_over_p"], color=style.PURPLE, label=f"mean {mean:.2f}")
    consistency.axhspan(*ACCEPTED, color=style.GREEN, alpha=0.12, label=f"accepted {ACCEPTED[0]:g}–{ACCEPTED[1]:g}")
    consistency.axhline(1.0, color=style.GREY, linestyle="--", linewidth=1)
    consistency.set(ylabel="2 J_min / p (1)", title="consistency", ylim=(0, None))
    consistency.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
    work.plot(cycles["time"], cycles["evaluations"], ".", color=style.BLUE)
    work.set(
        ylabel="evaluations of J and its gradient",
        title=f"work, mean {cycles['evaluations'].mean():.1f}",
        ylim=(0, None),
    )
    for axes in (cost, consistency, work):
        style.date_axis(axes)
    return figure
