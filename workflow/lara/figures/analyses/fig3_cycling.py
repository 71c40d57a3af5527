"""Daily analysis error of every method of the OSSE, against the truth and against withheld observations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

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
    "Analysis error of every method over the whole period, against the truth and against withheld observations, whose "
    "own errors are in it."
)
NEEDS = "experiments of the suite `osse`"


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Scores and feedback of the suite `osse`, and the errors of the reference's autoencoder."""
    names = config.suite("osse")
    scored = [*map(layout.scores, names), *map(layout.feedback, names)]
    return [*scored, layout.network_scores(config.shown_autoencoder)] if names else []


def gather(run: Run) -> xr.Dataset:
    """`truth`, `withheld` (experiment, time, channel), daily rms errors, SI; `floor` (channel), the reconstruction's.

    attrs: `evaluation_begin`, `n` (days scored).
    """
    import xarray as xr

    from lara.figures import gathering
    from lara.stages.experiments import evaluation_begin
    from lara.stages.verification import paired_table
    from lara.verification import scores

    names, headline = run.config.suite("osse"), list(run.config.verification.headline)
    squares = [
        scores.finish(paired_table.analysis_sums(run, name))["rmse"].sel(channel=headline) ** 2 for name in names
    ]
    truth = xr.concat(squares, pd.Index(names, name="experiment")).resample(time="1D").mean() ** 0.5
    departures = [_withheld(run, name, headline) for name in names]
    withheld = xr.concat(departures, pd.Index(names, name="experiment"), join="outer").reindex(time=truth["time"])
    begin = evaluation_begin(run, names[0])
    counted = {"evaluation_begin": str(begin)[:16], "n": int((truth["time"].values >= begin).sum())}
    floor = gathering.floor(run).sel(channel=headline)
    return xr.Dataset({"truth": truth, "withheld": withheld, "floor": floor}, attrs=counted)


def _withheld(run: Run, name: str, channels: list[str]) -> xr.DataArray:
    from lara.observations import table
    from lara.verification import innovations

    feedback = table.feedback_parts(run.layout.feedback(name))
    return innovations.withheld_daily(feedback, [run.channels.channels[run.channels.position(c)] for c in channels])


def draw(scores: xr.Dataset) -> Figure:
    """Per channel (rows): RMSE of analyses against the truth, and rms of withheld observations less analyses."""
    names = [str(name) for name in scores["channel"].values]
    figure = style.figure(10.5, 2.5 * len(names) + 0.6)
    grid = figure.subplots(len(names), 2, squeeze=False, sharex=True)
    for row, name in zip(grid, names, strict=True):
        variable = style.channel(name).variable
        one, unit = scores.sel(channel=name) * style.factor(variable), style.unit(variable)
        for axes, key, title in zip(row, ("truth", "withheld"), ("the truth", "withheld observations"), strict=True):
            _panel(axes, one[key], np.datetime64(scores.attrs["evaluation_begin"]))
            axes.set_title(f"{style.title(name)} against {title}")
            axes.set_ylabel(f"RMSE ({unit})")
        row[0].axhline(float(one["floor"]), color=style.GREY, linestyle="--", linewidth=1, label="reconstruction")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)))
    figure.suptitle(f"Daily; n = {scores.attrs['n']} days after the spin-up (grey)", fontsize=9)
    return figure


def _panel(axes: Axes, values: xr.DataArray, begin: np.datetime64) -> None:
    for experiment in values["experiment"].values:
        one = values.sel(experiment=experiment)
        axes.plot(one["time"], one, **{**style.line(str(experiment)), "linewidth": 1.1})
    style.time_axis(axes, values["time"].values, begin)
