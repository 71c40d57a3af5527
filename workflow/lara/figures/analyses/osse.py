"""Analysis and forecast RMSE of every method less that of the reference, with paired intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lara.figures import style
from lara.stages.reading import read_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "osse"
KEPT_AS = "csv"
CAPTION = "Differences to the reference method with paired intervals; filled dots leave out 0."
NEEDS = "experiments of the suite `osse`"
FAR = 1.5  # times the RMSE of the reference


def inputs(config: Config, layout: Layout) -> list[Path]:
    """The table of the OSSE."""
    return [layout.osse] if config.suite("osse") else []


def gather(run: Run) -> pd.DataFrame:
    """The table of the OSSE, `stages.verification.paired_table`."""
    return read_csv(run.layout.osse)


def draw(table: pd.DataFrame) -> Figure:
    """A panel per channel (rows) and lead (columns): RMSE less that of the reference, with its paired interval.

    `table` is that of `gather`: method, channel, lead_days, rmse, low, high, difference, difference_low,
    difference_high (SI), reference, n. A dot is filled where the 95 % interval leaves out 0; the RMSE itself stands
    beside with its own interval. Methods far worse than the reference are off the axis, as an arrow at its end, so that
    the others can be told apart. ValueError unless all rows have one reference.
    """
    references = table["reference"].unique()
    if len(references) != 1:
        raise ValueError(f"the table compares to {', '.join(references) or 'nothing'}; draw one reference at a time")
    methods, channels, leads = (list(table[name].unique()) for name in ("method", "channel", "lead_days"))
    height = 1.0 + 0.2 * len(methods)
    figure, panels = style.panels(len(channels) * len(leads), width=3.7, height=height, columns=len(leads))
    cells = [(channel, lead) for channel in channels for lead in leads]
    for axes, (channel, lead) in zip(panels, cells, strict=True):
        chosen = (table["channel"] == channel) & (table["lead_days"] == lead)
        _panel(axes, table[chosen].set_index("method").reindex(methods), channel)
        count = ", ".join(str(n) for n in table.loc[chosen, "n"].unique())
        axes.set_title(f"{style.title(channel)}, {_lead(lead)}, n = {count}")
        if lead != leads[0]:
            axes.set_yticklabels([])
    figure.suptitle(
        f"RMSE − RMSE of {references[0]} with its paired 95 % interval (filled: it leaves out 0)\n"
        "▶: far beyond; right: RMSE [95 % interval]",
        fontsize=9,
    )
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, channel: str) -> None:
    variable = style.channel(channel).variable
    factor = style.factor(variable)
    axes.axvline(0, color=style.GREY, linestyle="--", linewidth=1)
    for height, (method, row) in enumerate(rows.iterrows()):
        if np.isnan(row["rmse"]):
            continue
        if row["rmse"] > FAR * (row["rmse"] - row["difference"]):
            axes.plot([0.98], [height], ">", color=style.colour(str(method)), transform=axes.get_yaxis_transform())
        else:
            difference = factor * row[["difference", "difference_low", "difference_high"]]
            _dot(axes, height, difference, style.colour(str(method)))
        rmse, low, high = (style.number(factor * row[name]) for name in ("rmse", "low", "high"))
        beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.5}
        axes.text(1.02, height, f"{rmse} [{low}, {high}]", **beside)
    axes.set_yticks(range(len(rows)), list(rows.index))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.set_xlabel(f"difference ({style.unit(variable)})")


def _dot(axes: Axes, height: int, difference: pd.Series, colour: str) -> None:
    middle, low, high = difference
    face = colour if low > 0 or high < 0 else "white"
    axes.plot([low, high], [height, height], color=colour, linewidth=1.5)
    axes.plot([middle], [height], "o", color=colour, markerfacecolor=face, markersize=5)


def _lead(days: float) -> str:
    if days == 0:
        return "analysis"
    return f"+{days:g} day" + ("" if days == 1 else "s")
