"""Scores of an ensemble's members against the truth."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from lara.stages.experiments import evaluation_begin
from lara.stages.reading import read_dataset
from lara.stages.run import Run
from lara.stages.states import RunWithStates
from lara.stages.writing import write_csv, write_dataset
from lara.verification import ensemble, regions


def write_ensemble_scores(run: RunWithStates, name: str) -> None:
    """Write the sums of an ensemble and what is finished from them."""
    sums = score_ensemble(run, name)
    write_dataset(sums, run.layout.ensemble_scores(name))
    write_csv(finish_ensemble(run, name, sums), run.layout.finished_ensemble_scores(name))


def score_ensemble(run: RunWithStates, name: str) -> xr.Dataset:
    """Sums for the scores of an ensemble's members by region and time, at the headline channels."""
    members = read_dataset(run.layout.members(name))["analysis"]
    times = members["time"].values
    positions = [run.channels.position(str(channel)) for channel in members["channel"].values]
    truth = run.store(run.config.experiments[name].dataset).at(times)[:, positions]
    return ensemble.sums(
        members.values,
        truth,
        regions.shares(run.grid.latitude, run.grid.area_weights),
        times,
        members["channel"].values.tolist(),
        lambda stamp: run.generator("ranks", name, stamp),
    )


def finish_ensemble(run: Run, name: str, sums: xr.Dataset) -> pd.DataFrame:
    """Spread, RMSE of the mean, CRPS (SI), their ratio and indices of the ranks (1) by region and channel, and n.

    A column per rank of the truth has its share of the area.
    """
    scored = sums.sel(time=slice(evaluation_begin(run, name), None))
    found = ensemble.finish(scored.sum("time"))
    table = found.drop_vars(["frequency", "rank"]).to_dataframe(dim_order=["region", "channel"])
    ranks = found["frequency"].to_series().unstack("rank").add_prefix("rank_")
    return table.join(ranks).reset_index().assign(n=scored.sizes["time"])
