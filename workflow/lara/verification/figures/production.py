"""A long reanalysis over its whole period: errors, global means and their trends, and the joins of its streams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lara.verification.figures import style

SMOOTH = 30  # days of the running mean


@style.styled
def draw_rmse(fields: xr.Dataset, begin: np.datetime64, joined: Sequence[np.datetime64]) -> Figure:
    """`rmse` (experiment, time, channel) of days, thin, and over a running month, thick; dashed: where streams join."""
    channels = [str(name) for name in fields["channel"].values]
    figure, panels = style.panels(len(channels), width=5.6, height=2.9, columns=2)
    for axes, name in zip(panels, channels, strict=True):
        variable = style.channel(name).variable
        for experiment in fields["experiment"].values:
            one = fields["rmse"].sel(experiment=experiment, channel=name).dropna("time") * style.factor(variable)
            look = style.line(str(experiment))
            axes.plot(one["time"], one, **{**look, "label": "_", "linewidth": 0.5, "alpha": 0.5})
            smooth = (one**2).rolling(time=SMOOTH, center=True, min_periods=max(1, SMOOTH // 2)).mean() ** 0.5
            axes.plot(one["time"], smooth, **{**look, "linewidth": 1.8})
        style.time_axis(axes, fields["time"].values, begin)
        _mark(axes, joined)
        axes.set(title=style.title(name), ylabel=f"RMSE ({style.unit(variable)})")
    panels[0].legend(loc="best", fontsize=7)
    figure.suptitle(
        f"Analysis error of days (thin) and over {SMOOTH} days (thick), n = {fields.sizes['time']} days; "
        "grey: spin-up; dashed: where streams join",
        fontsize=9,
    )
    return figure


@style.styled
def draw_drift(fields: xr.Dataset, trends: pd.DataFrame, joined: Sequence[np.datetime64]) -> Figure:
    """`mean` and `truth` (experiment, time, quantity), and below them their difference with its trend per year.

    trends: rows of `report_production`, in SI per year, of days after the spin-up.
    """
    names = [str(name) for name in fields["quantity"].values]
    figure, panels = style.panels(2 * len(names), width=5.6, height=3.1, columns=len(names))
    for upper, lower, name in zip(panels[: len(names)], panels[len(names) :], names, strict=True):
        unit = style.unit("t" if name == "t" else style.channel(name).variable)
        rows = trends[trends["quantity"] == f"global mean {name}"]
        for experiment in fields["experiment"].values:
            one, look = fields.sel(experiment=experiment, quantity=name), style.line(str(experiment))
            own = rows[rows["experiment"] == experiment].set_index("of")
            upper.plot(one["time"], one["mean"], **{**look, "label": _words(experiment, own.loc["analysis"])})
            error = one["mean"] - one["truth"]
            label = _words(experiment, own.loc["analysis less truth"])
            lower.plot(one["time"], error, **{**look, "label": label})
        first = fields.isel(experiment=0).sel(quantity=name)
        upper.plot(first["time"], first["truth"], color=style.GREY, linestyle="--", label="truth")
        lower.axhline(0.0, color=style.GREY, linewidth=0.8)
        upper.set(title=f"global mean {name}", ylabel=f"analysis ({unit})")
        lower.set(ylabel=f"analysis less truth ({unit})")
        for axes in (upper, lower):
            _mark(axes, joined)
            axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
            axes.legend(loc="upper left", bbox_to_anchor=(0, -0.1), fontsize=7)
    figure.suptitle(
        f"n = {trends['days'].max()} days after the spin-up; legend: trend per year [95 % interval]",
        fontsize=9,
    )
    return figure


@style.styled
def draw_seams(fields: xr.Dataset) -> Figure:
    """`difference` (join, elapsed, channel) of streams in their overlap, in units that attribute `of` names.

    Beside it `error_change` (join, offset, channel) around the join, over its median.
    """
    labels = [str(label) for label in fields["join"].values]
    figure, panels = style.panels(2 * len(labels), width=5.2, height=3.0, columns=2)
    for left, right, label in zip(panels[::2], panels[1::2], labels, strict=True):
        one = fields.sel(join=label)
        for number, channel in enumerate(str(name) for name in fields["channel"].values):
            colour = (style.BLUE, style.RED, style.GREEN, style.ORANGE, style.PURPLE)[number % 5]
            series = one["difference"].sel(channel=channel).dropna("elapsed")
            left.plot(series["elapsed"] / np.timedelta64(1, "D"), series, color=colour, label=style.title(channel))
            change = one["error_change"].sel(channel=channel).dropna("offset")
            days = change["offset"].values / np.timedelta64(1, "D")
            right.plot(days, change / change.median(), ".", color=colour, label=style.title(channel))
            at = change.sel(offset=np.timedelta64(0, "ns")) / change.median()
            right.plot([0.0], [at], "o", color=colour, markersize=7, markeredgecolor=style.BLACK)
        left.set(title=label, xlabel="days since the later stream began", ylabel="difference (1)")
        left.set_ylim(bottom=0)
        right.axvline(0.0, color=style.GREY, linestyle="--", linewidth=0.8)
        right.set(title=label, xlabel="days from the join", ylabel="change of error / its median")
        right.set_ylim(bottom=0)
        left.legend(fontsize=7)
    count = fields["error_change"].isel(channel=0).notnull().sum("offset").values.tolist()
    figure.suptitle(
        f"Left: rms difference of two streams before they join over the {fields.attrs['of']}.\n"
        f"Right: rms change of the analysis error in one step, at n = {'; '.join(map(str, count))} times; "
        "ringed: at the join",
        fontsize=9,
    )
    return figure


def _words(experiment: str, row: pd.Series) -> str:
    trend, low, high = (style.number(float(row[key])) for key in ("trend_per_year", "low", "high"))
    return f"{experiment}: {trend} [{low}, {high}]"


def _mark(axes: Axes, joined: Sequence[np.datetime64]) -> None:
    for moment in joined:
        axes.axvline(dates.date2num(moment), color=style.GREY, linestyle="--", linewidth=0.8)
