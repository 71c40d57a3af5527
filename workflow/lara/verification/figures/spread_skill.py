"""Does the spread of the ensemble say how large the error of its mean is?"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lara.verification.figures import style

ACCEPTED = (0.7, 1.3)


@style.styled
def draw(scores: xr.Dataset, channels: Sequence[str]) -> Figure:
    """Per channel, downwards: spread and RMSE of the mean over time, their ratio, the histogram of the truth's rank.

    `scores` is `ensemble.evaluate`: spread, rmse (SI), ratio (1) on (time, channel); mean_spread, mean_rmse,
    mean_ratio, low, high, mean_reliability_index (channel), mean_frequency (channel, rank) over the n times from
    `evaluation_begin` on. `scores.attrs`: those, `members`, `confidence`.
    """
    figure = Figure(figsize=(max(3.7 * len(channels), 5.0), 7.6), layout="constrained")
    grid = figure.subplots(3, len(channels), squeeze=False)
    begin = np.datetime64(scores.attrs["evaluation_begin"])
    for (size, ratio, ranks), name in zip(grid.T, channels, strict=True):
        one = scores.sel(channel=name)
        _size(size, one, style.channel(name).variable)
        size.set_title(style.title(name))
        _ratio(ratio, one)
        for axes in (size, ratio):
            _time_axis(axes, scores["time"].values, begin)
        _ranks(ranks, one)
    figure.suptitle(
        f"{scores.attrs['members']} members; grey: spin-up; means over the n = {scores.attrs['n']} times after it "
        f"[{scores.attrs['confidence']:.0%} interval]",
        fontsize=9,
    )
    return figure


def _size(axes: Axes, scores: xr.Dataset, variable: str) -> None:
    factor = style.factor(variable)
    for name, label, colour, dashes in (
        ("rmse", "RMSE of the mean", style.RED, "-"),
        ("spread", "spread", style.BLUE, "--"),
    ):
        mean = style.number(factor * float(scores[f"mean_{name}"]))
        axes.plot(scores["time"], factor * scores[name], color=colour, linestyle=dashes, label=f"{label}: {mean}")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"spread, RMSE ({style.unit(variable)})")
    axes.legend(loc="lower left")


def _ratio(axes: Axes, scores: xr.Dataset) -> None:
    mean, low, high = (style.number(float(scores[name])) for name in ("mean_ratio", "low", "high"))
    axes.axhspan(*ACCEPTED, color=style.GREEN, alpha=0.12, label=f"accepted {ACCEPTED[0]:g}–{ACCEPTED[1]:g}")
    axes.axhline(1.0, color=style.GREY, linestyle="--", linewidth=1)
    axes.plot(scores["time"], scores["ratio"], color=style.PURPLE, label=f"mean {mean} [{low}, {high}]")
    axes.set_ylim(0, max(2.0, 1.1 * float(scores["ratio"].max())))
    axes.set_ylabel("√((m+1)/m) spread / RMSE (1)")
    axes.legend(loc="lower left")


def _ranks(axes: Axes, scores: xr.Dataset) -> None:
    rank, flat = scores["rank"].values, 1 / scores.sizes["rank"]
    axes.bar(rank, scores["mean_frequency"], width=0.9, color=style.SKY)
    axes.axhline(flat, color=style.BLACK, linestyle="--", linewidth=1, label=f"reliable: {flat:.3f}")
    axes.set(xlabel="members below the truth", ylabel="share of the area (1)")
    axes.set_xticks(rank[:: -(-len(rank) // 12)])
    axes.set_ylim(0, 1.25 * max(flat, float(scores["mean_frequency"].max())))
    axes.set_title(f"reliability index {float(scores['mean_reliability_index']):.2f}")
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper center")


def _time_axis(axes: Axes, times: np.ndarray, begin: np.datetime64) -> None:
    if begin > times[0]:
        axes.axvspan(*dates.date2num([times[0], begin]), color="0.92", zorder=0)
    axes.set_xlim(times[0], times[-1])
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
