"""Spread of an ensemble against the error of its mean, and ranks of the truth among the members."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lara.figures import style
from lara.stages.reading import read_dataset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "uncertainty"
KEPT_AS = "nc"
CAPTION = (
    "Spread of the ensemble against the error of its mean, and ranks of the truth with the CRPS, by region. A ratio "
    "below 1 and a truth often outside the members say that the ensemble is too sure of itself."
)
ACCEPTED = (0.7, 1.3)
BELOW: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, -0.17), "fontsize": 7}  # the axes, hiding no line
REGIONS = (style.SKY, style.BLUE, style.GREEN, style.RED)


def cases(config: Config) -> list[str]:
    """Experiments that have a spread."""
    return [name for name, experiment in config.experiments.items() if experiment.has_spread]


def inputs(config: Config, layout: Layout, case: str) -> list[Path]:
    """Scores of an ensemble."""
    return [layout.ensemble_scores(case)]


def gather(run: Run, case: str) -> xr.Dataset:
    """`ensemble.evaluate` of an ensemble."""
    from lara.stages.experiments import evaluation_begin
    from lara.stages.verification.comparison import block_length
    from lara.verification import ensemble

    sums, begin = read_dataset(run.layout.ensemble_scores(case)), evaluation_begin(run, case)
    block = block_length(sums.sel(time=slice(begin, None)).sizes["time"], run.config.step_hours)
    return ensemble.evaluate(sums, begin, block, run.generator("bootstrap"))


def draw(scores: xr.Dataset) -> Figure:
    """Per channel, downwards: spread and RMSE of the mean over time, their ratio, the histogram of the truth's rank.

    `scores` is `ensemble.evaluate`: spread, rmse (SI), ratio (1) on (time, channel); low, high (channel), mean_spread,
    mean_rmse, mean_crps, mean_ratio, mean_reliability_index (region, channel), mean_frequency (region, channel, rank)
    over the n times from `evaluation_begin` on. `scores.attrs`: those, `members`, `confidence`.
    """
    channels = [str(name) for name in scores["channel"].values]
    figure = style.figure(max(3.9 * len(channels), 5.0), 9.6)
    grid = figure.subplots(3, len(channels), squeeze=False)
    begin = np.datetime64(scores.attrs["evaluation_begin"])
    for (size, ratio, ranks), name in zip(grid.T, channels, strict=True):
        one = scores.sel(channel=name)
        _size(size, one, style.channel(name).variable)
        size.set_title(style.title(name))
        _ratio(ratio, one)
        for axes in (size, ratio):
            style.time_axis(axes, scores["time"].values, begin)
        _ranks(ranks, one, style.channel(name).variable)
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
        mean = style.number(factor * float(scores[f"mean_{name}"].sel(region="globe")))
        axes.plot(scores["time"], factor * scores[name], color=colour, linestyle=dashes, label=f"{label}: {mean}")
    axes.set_ylabel(f"spread, RMSE ({style.unit(variable)})")
    axes.legend(**BELOW, ncols=2)


def _ratio(axes: Axes, scores: xr.Dataset) -> None:
    ends = [style.number(float(scores[name])) for name in ("low", "high")]
    mean = style.number(float(scores["mean_ratio"].sel(region="globe")))
    axes.axhspan(*ACCEPTED, color=style.GREEN, alpha=0.12, label=f"accepted {ACCEPTED[0]:g}–{ACCEPTED[1]:g}")
    axes.axhline(1.0, color=style.GREY, linestyle="--", linewidth=1)
    axes.plot(scores["time"], scores["ratio"], color=style.PURPLE, label=f"mean {mean} [{', '.join(ends)}]")
    axes.set_ylabel("√((m+1)/m) spread / RMSE (1)")
    axes.legend(**BELOW, ncols=2)


def _ranks(axes: Axes, scores: xr.Dataset, variable: str) -> None:
    rank, flat, factor = scores["rank"].values, 1 / scores.sizes["rank"], style.factor(variable)
    edges = np.arange(len(rank) + 1) - 0.5
    for region, colour in zip(scores["region"].values, REGIONS, strict=True):
        one = scores.sel(region=region)
        crps, index = (float(one[name]) for name in ("mean_crps", "mean_reliability_index"))
        label = f"{region}: CRPS {style.number(factor * crps)}, index {index:.2f}"
        if region == "globe":
            axes.bar(rank, one["mean_frequency"], width=0.9, color=colour, label=label)
        else:
            axes.stairs(one["mean_frequency"], edges, color=colour, label=label, linewidth=1.2, baseline=None)
    axes.axhline(flat, color=style.BLACK, linestyle="--", linewidth=1, label=f"reliable: {flat:.3f}")
    axes.set(xlabel="members below the truth", ylabel="share of the area (1)")
    axes.set_xticks(rank[:: -(-len(rank) // 12)])
    axes.set_ylim(bottom=0)
    axes.set_title(f"ranks of the truth; CRPS in {style.unit(variable)}", fontsize=9)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.2), fontsize=7)
