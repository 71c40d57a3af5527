"""Analysis RMSE of a long reanalysis over its whole period, and where its streams join."""

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
    "Analysis error over the whole period: it should be the same from year to year and on both sides of a join of "
    "streams; the free run beside it has seen no observation."
)
NEEDS = "experiments of the suite `production`"
SMOOTH = 30  # days of the running mean


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Report of the suite `production`."""
    return [layout.production("series.nc")] if config.suite("production") else []


def gather(run: Run) -> xr.Dataset:
    """`rmse` (experiment, time, channel) of days, SI; attrs: `evaluation_begin`, `joined` (where streams join)."""
    from lara.figures import gathering
    from lara.stages.experiments import evaluation_begin

    begin = evaluation_begin(run, run.config.suite("production")[0])
    series = read_dataset(run.layout.production("series.nc"))[["rmse"]]
    return series.assign_attrs(evaluation_begin=str(begin)[:16], joined=gathering.joined(run))


def draw(fields: xr.Dataset) -> Figure:
    """RMSE of days, thin, and over a running month, thick; dashed: where streams join."""
    begin = np.datetime64(fields.attrs["evaluation_begin"])
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
        style.mark_times(axes, fields.attrs["joined"].split())
        axes.set(title=style.title(name), ylabel=f"RMSE ({style.unit(variable)})")
    panels[0].legend(loc="best", fontsize=7)
    figure.suptitle(
        f"Analysis error of days (thin) and over {SMOOTH} days (thick), n = {fields.sizes['time']} days; "
        "grey: spin-up; dashed: where streams join",
        fontsize=9,
    )
    return figure
