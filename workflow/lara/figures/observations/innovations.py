"""Departures of used and of withheld observations from background and analysis, by variable and level."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lara.figures import style
from lara.stages.reading import read_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "all"
KEPT_AS = "csv"
CAPTION = "Departures of used and of withheld data, which test independently: O−A below O−B there is a gain."
DEPARTURES = {"ombg": ("O−B", style.BLUE), "oman": ("O−A", style.RED)}


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Departure statistics of the reference experiment."""
    return [layout.innovations(config.verification.reference)]


def gather(run: Run) -> pd.DataFrame:
    """`innovations.by_level` of the reference experiment."""
    return read_csv(run.layout.innovations(run.config.verification.reference))


def draw(departures: pd.DataFrame) -> Figure:
    """Rows: used and withheld data; a panel per upper-air variable and one for the surface.

    `departures` is `innovations.by_level`: variable, level (hPa, NaN at the surface), withheld, n, ombg_mean,
    ... (SI).
    """
    upper = list(dict.fromkeys(departures.loc[departures["level"].notna(), "variable"]))
    figure = style.figure(2.5 * len(upper) + 3.5, 6.4)
    grid = figure.subplots(2, len(upper) + 1, squeeze=False, width_ratios=[*[1.0] * len(upper), 1.3])
    for row, (withheld, name) in zip(grid, ((False, "used"), (True, "withheld")), strict=True):
        chosen = departures[departures["withheld"] == withheld]
        for axes, variable in zip(row[:-1], upper, strict=True):
            profile = chosen[(chosen["variable"] == variable) & chosen["level"].notna()].sort_values("level")
            _profile(axes, profile, variable)
            axes.set_title(f"{variable}, {name}{_count(profile['n'])}")
        for axes in row[1:-1]:
            axes.set_ylabel("")
        _surface(row[-1], chosen[chosen["level"].isna()])
        row[-1].set_title(f"surface, {name}")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.suptitle("Departures from background (O−B) and analysis (O−A); n data per level", fontsize=9)
    return figure


def _count(n: pd.Series) -> str:
    return "" if n.empty else f", n = {n.min()}" + (f"–{n.max()}" if n.max() > n.min() else "")


def _profile(axes: Axes, rows: pd.DataFrame, variable: str) -> None:
    if rows.empty:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center")
        return
    factor = style.factor(variable)
    for key, (label, colour) in DEPARTURES.items():
        axes.plot(factor * rows[f"{key}_rms"], rows["level"], "o-", markersize=3, color=colour, label=f"{label} rms")
        axes.plot(
            factor * rows[f"{key}_mean"],
            rows["level"],
            "o:",
            markersize=2,
            color=colour,
            label=f"{label} mean",
        )
    axes.axvline(0, color="0.6", linewidth=0.8)
    style.pressure_axis(axes, rows["level"].tolist())
    axes.set_xlabel(style.unit(variable))


def _surface(axes: Axes, rows: pd.DataFrame) -> None:
    """Units differ, so both are divided by the rms of O-B; the values stand beside."""
    rows = rows.sort_values("variable", ascending=False).reset_index(drop=True)
    for offset, (key, (_, colour)) in zip((0.15, -0.15), DEPARTURES.items(), strict=True):
        axes.barh(rows.index + offset, rows[f"{key}_rms"] / rows["ombg_rms"], height=0.28, color=colour)
        axes.plot(rows[f"{key}_mean"] / rows["ombg_rms"], rows.index + offset, "d", color="black", markersize=3)
    for position, row in enumerate(rows.to_dict("records")):
        before, after = (style.number(style.factor(row["variable"]) * row[key]) for key in ("ombg_rms", "oman_rms"))
        text = f"{before} → {after} {style.unit(row['variable'])}, n = {row['n']}"
        axes.text(0.0, position + 0.31, text, fontsize=7, va="bottom")
    axes.set_yticks(rows.index, rows["variable"])
    axes.set_ylim(-0.5, max(len(rows), 1) - 0.3)
    axes.set_xlabel("rms (bars) and mean (◆) over rms of O−B")
