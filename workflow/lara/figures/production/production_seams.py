"""Differences of two streams of a long reanalysis before they join, and changes of error around the join."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lara.figures import style
from lara.stages.reading import read_dataset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "production"
KEPT_AS = "nc"
CAPTION = (
    "How soon a stream that began elsewhere agrees with the one it follows, in units of the analyses' own error, and "
    "how that error changes in one step at the join and on other days: a visible seam would stand out."
)
NEEDS = "an experiment of the suite `production` with two streams"


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Report of the suite `production`, where an experiment of it has several streams."""
    several = any(len(config.production.streams.get(name, ())) > 1 for name in config.suite("production"))
    return [layout.production("seams.nc")] if several else []


def gather(run: Run) -> xr.Dataset:
    """`difference` (join, elapsed, channel) over what attribute `of` names, `error_change` (join, offset, channel)."""
    return read_dataset(run.layout.production("seams.nc"))


def draw(fields: xr.Dataset) -> Figure:
    """Per join the difference of streams in their overlap; beside it the change of error around it, over its median."""
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
