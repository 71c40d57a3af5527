"""Arrays that several figures gather: errors of analyses, the autoencoder's own, and structures of states."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from lara.stages.experiments import CONTROLS, shown_autoencoder
from lara.stages.reading import read_dataset
from lara.stages.run import Run, time
from lara.stages.verification.comparison import all_sums, block_length
from lara.verification import aggregation, scores


def squared_errors(run: Run) -> xr.DataArray:
    """Area-mean squared errors of the analyses of the default suite (experiment, time, channel), SI²."""
    sums = all_sums(run).sel(kind="analysis", drop=True)
    return (scores.finish(sums)["rmse"] ** 2).transpose("experiment", "time", "channel")


def block(run: Run, scored: xr.DataArray) -> int:
    """Length of bootstrap blocks of what is scored (time)."""
    return block_length(scored.sizes["time"], run.config.step_hours)


def floor(run: Run) -> xr.DataArray:
    """Reconstruction error (channel), SI, of the autoencoder of the reference experiment."""
    return read_dataset(run.layout.network_scores(shown_autoencoder(run)))["rmse"]


def structures(run: Run) -> dict[str, xr.Dataset]:
    """What was measured of the states of each control and experiment of the default suite."""
    names = [*CONTROLS, *run.config.suite("reanalysis")]
    return {name: read_dataset(run.layout.structure(name)) for name in names}


def finished(run: Run, statistic: aggregation.Statistic) -> dict[str, xr.Dataset]:
    """Scores by one statistic of all months of each control and experiment of the default suite."""
    found = structures(run)
    return {name: statistic.finish(aggregation.of(statistic, one).sum("month")) for name, one in found.items()}


def by_source(run: Run, found: dict[str, xr.Dataset]) -> xr.Dataset:
    """Diagnostics of each source along a dimension `source`, with the number `n` of times they are of."""
    joined = xr.concat(list(found.values()), pd.Index(list(found), name="source"), data_vars="all", join="outer")
    return joined.assign_attrs(n=count(run))


def count(run: Run) -> int:
    """Number of times that structures are measured over."""
    return int(read_dataset(run.layout.structure("truth")).attrs["n"])


def joined(run: Run) -> str:
    """Times at which streams of the suite `production` join, one space apart."""
    config = run.config
    found = {one.begin for name in config.suite("production") for one in config.production.later(name).values()}
    return " ".join(str(time(moment)) for moment in sorted(found))
