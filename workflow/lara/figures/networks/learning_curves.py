"""Loss of every network against the step of its training, on training and on held-out states."""

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
CAPTION = "Loss of every network: training and validation should fall together."


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Learning curves of the networks of the default target."""
    return [path for name in _trained(config) for path in layout.curves(name)]


def _trained(config: Config) -> list[str]:
    return [name for name in config.default_autoencoders if config.autoencoders[name].kind != "pca"] + ["forecaster"]


def gather(run: Run) -> pd.DataFrame:
    """Rows of every curve: network, curve ("training" or "validation"), step, loss (1), learning_rate."""
    parts = [
        read_csv(path).assign(network=name, curve=path.stem)
        for name in _trained(run.config)
        for path in run.layout.curves(name)
    ]
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Figure:
    """A panel per network."""
    networks = list(table.groupby("network", sort=False))
    figure, panels = style.panels(len(networks), width=4.6, height=3.2)
    for axes, (name, rows) in zip(panels, networks, strict=True):
        _panel(axes, *(rows[rows["curve"] == curve] for curve in ("training", "validation")))
        axes.set_title(str(name))
    return figure


def _panel(axes: Axes, train: pd.DataFrame, validation: pd.DataFrame) -> None:
    axes.plot(
        train["step"], train["loss"], color="0.8", linewidth=0.7, label=f"training, each of n = {len(train)} steps"
    )
    window = max(1, len(train) // 50)
    smooth = train["loss"].rolling(window, min_periods=1).mean()
    axes.plot(train["step"], smooth, color=style.BLUE, label=f"training, mean of {window}")
    axes.plot(validation["step"], validation["loss"], "o-", color=style.RED, markersize=4, label="held-out states")
    last = validation.iloc[-1]
    axes.annotate(f"{last['loss']:.3g}", (last["step"], last["loss"]), (0, 6), textcoords="offset points", ha="right")
    axes.set(yscale="log", xlabel="optimiser step", ylabel="loss (1)")
    axes.legend(loc="upper right")
    rate = axes.twinx()
    rate.plot(train["step"], train["learning_rate"], color=style.GREY, linestyle=":")
    rate.set_ylabel("learning rate (dotted)", color=style.GREY)
    rate.grid(visible=False)
    rate.set_ylim(bottom=0)
