"""Analysis RMSE of every experiment over time, beside the error of the reconstruction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lara.figures import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "all"
KEPT_AS = "nc"
CAPTION = (
    "Analysis error of every experiment. It should level off below the free run and below the autoencoder-only "
    "control, whose error is what smoothing alone achieves; dashed: reconstruction."
)


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Scores of the default suite, and the errors of the reference's autoencoder."""
    return [*map(layout.scores, config.suite("reanalysis")), layout.network_scores(config.shown_autoencoder)]


def gather(run: Run) -> xr.Dataset:
    """`significance.evaluate` of the analyses (experiment, time, channel), with `floor` (channel), SI."""
    from lara.figures import gathering
    from lara.stages.experiments import evaluation_begin
    from lara.verification.significance import evaluate

    squares, begin = gathering.squared_errors(run), evaluation_begin(run)
    block = gathering.block(run, squares.sel(time=slice(begin, None)))
    found = evaluate(squares, begin, block, run.generator("bootstrap")).assign(floor=gathering.floor(run))
    return found.assign_attrs(headline=list(run.config.verification.headline))


def draw(scores: xr.Dataset) -> Figure:
    """A panel per headline channel of `rmse` (experiment, time, channel), SI, as `significance.evaluate` returns it.

    The legend states `mean`, `low`, `high` (experiment, channel) after the spin-up. `floor` (channel), where
    present, is the reconstruction error. attrs: `headline`, `evaluation_begin` (ISO time), `n`, `confidence`.
    """
    channels = np.atleast_1d(scores.attrs["headline"])
    figure, panels = style.panels(len(channels), width=4.8, height=2.9, columns=2)
    begin = np.datetime64(scores.attrs["evaluation_begin"])
    for axes, name in zip(panels, channels, strict=True):
        _panel(axes, scores.sel(channel=name) * style.factor(style.channel(name).variable), begin)
        axes.set_title(style.title(name))
        axes.set_ylabel(f"RMSE ({style.unit(style.channel(name).variable)})")
    figure.suptitle(
        f"Grey: spin-up. Legend: RMSE over the n = {scores.attrs['n']} times after it, "
        f"[{scores.attrs['confidence']:.0%} interval]",
        fontsize=9,
    )
    return figure


def _panel(axes: Axes, scores: xr.Dataset, begin: np.datetime64) -> None:
    for experiment in scores["experiment"].values:
        one = scores.sel(experiment=experiment)
        mean, low, high = (style.number(float(one[name])) for name in ("mean", "low", "high"))
        line = {**style.line(experiment), "label": f"{experiment}: {mean} [{low}, {high}]", "linewidth": 1.2}
        axes.plot(scores["time"], one["rmse"], **line)
    if "floor" in scores:
        floor = float(scores["floor"])
        axes.axhline(floor, color=style.GREY, linestyle="--", label=f"reconstruction: {style.number(floor)}")
    style.time_axis(axes, scores["time"].values, begin)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.17), ncols=2, fontsize=7)
