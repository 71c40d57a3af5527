"""Autoencoder trained on forecasts beside one trained on states: reconstruction, analyses and forecasts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lara.depends.inputs import Inputs
from lara.figures import style
from lara.stages.reading import read_dataset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "exp4_forecast_autoencoder"
KEPT_AS = "nc"
CAPTION = (
    "The OSSE's L4DVar with an autoencoder trained on forecasts in place of states, everything else alike: "
    "reconstruction of held-out truth, RMSE of analyses and forecasts, and its difference with a paired 95 % interval. "
    "Near zero, a system can be begun without a reanalysis to train on."
)
NEEDS = "an autoencoder with forecast_days and an experiment of the suite `bootstrap` that uses it"
SCORES = ["rmse", "low", "high", "difference", "difference_low", "difference_high", "n"]
APART = 0.12  # between experiments at one lead


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Scores of the suite `bootstrap` and of its reference, with the errors of their autoencoders."""
    names = [config.bootstrap.reference or "", *config.suite("bootstrap")] if config.suite("bootstrap") else []
    return [path for name in names for path in Inputs(config, layout).bootstrap(name)]


def gather(run: Run) -> xr.Dataset:
    """SCORES (experiment, channel, lead_days; SI), `reconstruction` (experiment, held_out; over the 24 h change).

    attrs: `reference`, `samples` of the reconstruction, and `trained_on` of each in words.
    """
    import xarray as xr

    from lara.stages.verification import paired_table

    reference = run.config.bootstrap.reference or ""
    names = [reference, *run.config.suite("bootstrap")]
    table = paired_table.compare(run, names, reference).rename(columns={"method": "experiment"})
    scores = table.set_index(["experiment", "channel", "lead_days"])[SCORES].to_xarray()
    scores = scores.sel(experiment=names, channel=list(run.config.verification.headline))
    errors = [read_dataset(run.layout.network_scores(run.config.experiments[name].space)) for name in names]
    ratios = [(one["rmse"] / one["change_std"]).rename(channel="held_out") for one in errors]
    fields = scores.assign(reconstruction=xr.concat(ratios, pd.Index(names, name="experiment")))
    counted = {"reference": reference, "samples": int(errors[0].attrs["samples"])}
    return fields.assign_attrs(counted, trained_on=[_trained_on(run, name) for name in names])


def _trained_on(run: Run, name: str) -> str:
    """What the autoencoder of an experiment has learnt from, in words."""
    days = run.config.autoencoders[run.config.experiments[name].space].forecast_days
    return "states" if days is None else f"forecasts of {days[0]} to {days[1]} days"


def draw(fields: xr.Dataset) -> Figure:
    """Reconstruction by channel (top); per headline channel RMSE by lead, and its paired difference (below)."""
    names = [str(name) for name in fields["channel"].values]
    figure = style.figure(max(3.5 * len(names), 7.5), 8.2)
    grid = figure.add_gridspec(3, len(names))
    _reconstruction(figure.add_subplot(grid[0, :]), fields)
    for column, name in enumerate(names):
        above, below = (figure.add_subplot(grid[row, column]) for row in (1, 2))
        variable = style.channel(name).variable
        one, unit = fields.sel(channel=name), style.unit(variable)
        _panel(above, one, style.factor(variable), ("rmse", "low", "high"))
        _panel(below, one, style.factor(variable), ("difference", "difference_low", "difference_high"))
        below.axhline(0, color=style.GREY, linestyle="--", linewidth=1)
        above.set(title=style.title(name), ylabel=f"RMSE ({unit})")
        above.set_ylim(bottom=0)
        below.set(ylabel=f"difference ({unit})", title=f"less {fields.attrs['reference']}")
    first = fields.isel(channel=0, experiment=0)["n"].values
    figure.suptitle(
        f"95 % intervals (filled: the paired one leaves out 0); n = {int(first[0])} analyses"
        + (f", {int(first[-1])} forecasts" if len(first) > 1 else ""),
        fontsize=9,
    )
    return figure


def _reconstruction(axes: Axes, fields: xr.Dataset) -> None:
    groups = style.channel_axis(axes, [str(name) for name in fields["held_out"].values])
    trained = np.atleast_1d(fields.attrs["trained_on"])
    for (name, look), words in zip(_looks(fields).items(), trained, strict=True):
        values = fields["reconstruction"].sel(experiment=name).values
        for i, group in enumerate(groups):
            label = f"{name}: trained on {words}" if i == 0 else None
            axes.plot(group, values[group], markersize=4, label=label, **look)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("reconstruction RMSE /\nstd of 24 h changes (1)")
    axes.set_title(f"n = {fields.attrs['samples']} held-out states")
    axes.legend()


def _panel(axes: Axes, one: xr.Dataset, factor: float, keys: tuple[str, str, str]) -> None:
    place, paired = np.arange(one.sizes["lead_days"]), keys[0] == "difference"
    for number, (name, look) in enumerate(_looks(one).items()):
        if paired and name == one.attrs["reference"]:
            continue
        middle, low, high = (factor * one[key].sel(experiment=name).values for key in keys)
        at = place + APART * (number - 0.5 * (one.sizes["experiment"] - 1))
        axes.vlines(at, low, high, color=look["color"])
        sure = (low > 0) | (high < 0) if paired else np.full(len(place), True)
        faces = [look["color"] if filled else "white" for filled in sure]
        axes.scatter(at, middle, c=faces, edgecolors=look["color"], marker=look["marker"], s=26, zorder=3)
    days = one["lead_days"].values
    axes.set_xticks(place, ["analysis" if day == 0 else f"+{day:g} d" for day in days])
    axes.set_xlim(-0.5, len(place) - 0.5)


def _looks(fields: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Colour and marker of each experiment: the reference's own, then others that differ from it."""
    first, *others = (str(name) for name in fields["experiment"].values)
    looks = [(style.BLUE, "s"), (style.GREEN, "^"), (style.PURPLE, "D"), (style.ORANGE, "v")]
    found = {first: (style.colour(first), "o")} | {name: looks[i % len(looks)] for i, name in enumerate(others)}
    return {name: {"color": colour, "marker": marker} for name, (colour, marker) in found.items()}
