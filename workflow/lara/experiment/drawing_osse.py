"""Figures of the OSSE: errors of every method by lead and over time, against truth and withheld observations."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from lara.experiment.saving import keep_fields
from lara.observations import table as tables
from lara.stages.experiments import evaluation_begin, shown_autoencoder
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run
from lara.stages.verification import paired_table
from lara.verification import innovations, scores
from lara.verification.figures import fig3_cycling, fig3_osse
from lara.verification.significance import rmse_interval


def draw_osse_errors(run: Run) -> Figure:
    """Analysis and forecast errors of every method of the suite `osse`."""
    names = run.config.suite("osse")
    forecasts, analyses = paired_table.forecast_errors(run, names), paired_table.analysis_errors(run, names)
    found = [
        rmse_interval(squares, paired_table.block_of(squares), run.generator("bootstrap"), dim)
        for squares, dim in ((forecasts, "init"), (analyses, "time"))
    ]
    both = [one.rename({key: f"{part}_{key}" for key in one}) for one, part in zip(found, PARTS, strict=True)]
    counts = {f"{part}_n": one.attrs["n"] for one, part in zip(found, PARTS, strict=True)}
    kept = keep_fields(run, "fig3_osse", xr.merge(both).assign(analysis_floor=_floor(run)).assign_attrs(counts))
    shown = [_part(kept, part) for part in PARTS]
    return fig3_osse.draw(*shown)


PARTS = ("forecast", "analysis")


def _part(kept: xr.Dataset, part: str) -> xr.Dataset:
    own = {str(name): str(name).removeprefix(f"{part}_") for name in kept if str(name).startswith(part)}
    return kept[list(own)].rename(own).assign_attrs(n=kept.attrs[f"{part}_n"])


def draw_cycling(run: Run) -> Figure:
    """Daily errors of every method over the whole period."""
    names, headline = run.config.suite("osse"), list(run.config.verification.headline)
    squares = [
        scores.finish(paired_table.analysis_sums(run, name))["rmse"].sel(channel=headline) ** 2 for name in names
    ]
    truth = xr.concat(squares, pd.Index(names, name="experiment")).resample(time="1D").mean() ** 0.5
    departures = [_withheld(run, name, headline) for name in names]
    withheld = xr.concat(departures, pd.Index(names, name="experiment"), join="outer")
    begin = evaluation_begin(run, names[0])
    counted = {"evaluation_begin": str(begin)[:16], "n": int((truth["time"].values >= begin).sum())}
    fields = xr.Dataset({"truth": truth, "withheld": withheld.reindex(time=truth["time"]), "floor": _floor(run)})
    return fig3_cycling.draw(keep_fields(run, "fig3_cycling", fields.assign_attrs(counted)))


def _withheld(run: Run, name: str, channels: list[str]) -> xr.DataArray:
    feedback = tables.feedback_parts(run.layout.feedback(name))
    return innovations.withheld_daily(feedback, [run.channels.channels[run.channels.position(c)] for c in channels])


def _floor(run: Run) -> xr.DataArray:
    """Reconstruction error (channel) of the autoencoder shown, at the headline channels."""
    errors = xr.load_dataset(run.layout.errors(shown_autoencoder(run)))["rmse"]
    return errors.sel(channel=list(run.config.verification.headline))


FIGURES: dict[str, Callable[[RunWithNetworks], Figure]] = {"fig3_osse": draw_osse_errors, "fig3_cycling": draw_cycling}
