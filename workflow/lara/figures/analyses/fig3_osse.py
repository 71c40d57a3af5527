"""Forecast RMSE against lead time and analysis RMSE of every method of the OSSE, with intervals."""

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

TARGET = "figures"
KEPT_AS = "nc"
CAPTION = (
    "Forecast and analysis error of every method of the OSSE with 95 % intervals, at the same times; dashed: "
    "reconstruction. The autoencoder-only control shows what smoothing alone achieves."
)
NEEDS = "experiments of the suite `osse`"


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Scores of analyses and forecasts of the suite `osse`, and the errors of the reference's autoencoder."""
    names = config.suite("osse")
    scored = [*map(layout.scores, names), *map(layout.forecast_scores, names)]
    return [*scored, layout.network_scores(config.shown_autoencoder)] if names else []


def gather(run: Run) -> xr.Dataset:
    """`forecast_…` (experiment, lead_time, channel), `analysis_…` (experiment, channel): rmse, low, high, SI.

    `analysis_floor` (channel) is the reconstruction error; attrs: `forecast_n`, `analysis_n`.
    """
    import xarray as xr

    from lara.figures import gathering
    from lara.stages.verification import paired_table
    from lara.verification.significance import rmse_interval

    names = run.config.suite("osse")
    errors = {
        "forecast": paired_table.forecast_errors(run, names),
        "analysis": paired_table.analysis_errors(run, names),
    }
    found = {
        part: rmse_interval(squares, paired_table.block_of(squares), run.generator("bootstrap"), dim)
        for (part, squares), dim in zip(errors.items(), ("init", "time"), strict=True)
    }
    both = xr.merge([one.rename({key: f"{part}_{key}" for key in one}) for part, one in found.items()])
    floor = gathering.floor(run).sel(channel=list(run.config.verification.headline))
    counts = {f"{part}_n": one.attrs["n"] for part, one in found.items()}
    return both.assign(analysis_floor=floor).assign_attrs(counts)


def draw(fields: xr.Dataset) -> Figure:
    """Per channel: forecast RMSE against lead (top) and analysis RMSE (bottom), with 95 % intervals."""
    forecasts, analyses = (_part(fields, part) for part in ("forecast", "analysis"))
    names = [str(name) for name in forecasts["channel"].values]
    figure = style.figure(4.0 * len(names), 6.4)
    grid = figure.subplots(2, len(names), squeeze=False, height_ratios=[1.5, 1.0])
    for (above, below), name in zip(grid.T, names, strict=True):
        variable = style.channel(name).variable
        factor, unit = style.factor(variable), style.unit(variable)
        _curves(above, factor * forecasts.sel(channel=name))
        above.set(title=style.title(name), xlabel="lead time (days)", ylabel=f"forecast RMSE ({unit})")
        _dots(below, factor * analyses.sel(channel=name))
        below.set_xlabel(f"analysis RMSE ({unit})")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)))
    figure.suptitle(
        f"n = {forecasts.attrs['n']} forecasts and {analyses.attrs['n']} analyses of every method at the same times; "
        "95 % intervals",
        fontsize=9,
    )
    return figure


def _part(fields: xr.Dataset, part: str) -> xr.Dataset:
    own = {str(name): str(name).removeprefix(f"{part}_") for name in fields if str(name).startswith(part)}
    return fields[list(own)].rename(own).assign_attrs(n=fields.attrs[f"{part}_n"])


def _curves(axes: Axes, scores: xr.Dataset) -> None:
    days = scores["lead_time"] / np.timedelta64(1, "D")
    for experiment in scores["experiment"].values:
        one = scores.sel(experiment=experiment)
        axes.plot(days, one["rmse"], **style.line(str(experiment)))
        axes.fill_between(days, one["low"], one["high"], color=style.colour(str(experiment)), alpha=0.12, linewidth=0)
    axes.set_xlim(0, float(days.max()))
    axes.set_ylim(bottom=0)


def _dots(axes: Axes, scores: xr.Dataset) -> None:
    names = [str(name) for name in scores["experiment"].values]
    for height, name in enumerate(names):
        one, colour = scores.sel(experiment=name), style.colour(name)
        axes.plot([float(one["low"]), float(one["high"])], [height, height], color=colour)
        axes.plot([float(one["rmse"])], [height], "o", color=colour, markersize=5)
    axes.axvline(float(scores["floor"]), color=style.GREY, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=0)
