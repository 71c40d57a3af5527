"""Tails of the analyses: errors of quantiles, and whether extremes are where the truth has them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lara.figures import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "figures"
KEPT_AS = "nc"
CAPTION = (
    "Errors of quantiles of anomalies, and the extremal dependence index of anomalies beyond 2 std: 1 where extremes "
    "are found in their place, 0 for chance."
)


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Structures of the controls and of the default suite."""
    return [layout.structure(source) for source in ("truth", "reconstruction", *config.suite("reanalysis"))]


def gather(run: Run) -> xr.Dataset:
    """`quantile_error` (source, channel, quantile; climatological std), `edi` (source, channel, side); attrs: n."""
    from lara.figures import gathering
    from lara.verification import tails

    return gathering.by_source(run, gathering.finished(run, tails)).sel(channel=list(run.config.verification.headline))


def draw(fields: xr.Dataset) -> Figure:
    """`quantile_error` (source, channel, quantile; climatological std) and `edi` (source, channel, side); attrs: n.

    Source `truth` has no error and an index of 1, `reconstruction` is the floor.
    """
    names = [str(name) for name in fields["channel"].values]
    sources = [str(name) for name in fields["source"].values]
    figure = style.figure(3.8 * len(names), 5.4)
    grid = figure.subplots(2, len(names), squeeze=False)
    for (above, below), name in zip(grid.T, names, strict=True):
        one = fields.sel(channel=name)
        for source in sources:
            above.plot(one["quantile_error"].sel(source=source), marker="o", markersize=3, **style.line(source))
        above.set_xticks(range(one.sizes["quantile"]), [f"{q:g}" for q in one["quantile"].values])
        above.set(title=style.title(name), xlabel="quantile of the anomaly (1)")
        for i, (side, marker) in enumerate((("above", "^"), ("below", "v"))):
            place = np.arange(len(sources)) + 0.16 * (2 * i - 1)
            colours = [style.colour(source) for source in sources]
            below.scatter(place, one["edi"].sel(side=side), c=colours, marker=marker, s=24, label=f"2 std {side}")
        below.set_xticks(range(len(sources)), sources, rotation=30, ha="right")
        below.set_ylim(0, 1.03)
    grid[0, 0].set_ylabel("error of the quantile\n(climatological std)")
    grid[1, 0].set_ylabel("extremal dependence\nindex (1)")
    grid[1, 0].legend(loc="lower left")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(f"n = {fields.attrs['n']} times after the spin-up, area-weighted", fontsize=9)
    return figure
