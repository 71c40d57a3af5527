"""Figures of a run: the arrays of each are gathered and saved first, then drawn from what was saved."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from lara.experiment import drawing_comparisons, drawing_production
from lara.experiment.saving import keep_fields, keep_table
from lara.stages.experiments import evaluation_begin, middle_window, shown_autoencoder
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run, hours
from lara.stages.states import RunWithStates
from lara.stages.verification.comparison import all_sums, block_length
from lara.verification import scores
from lara.verification.figures import (
    analysis_maps,
    autoencoder_error,
    convergence,
    costs,
    forecast_rmse,
    forecaster_skill,
    innovations,
    learning_curves,
    maps,
    rmse_by_level,
    rmse_over_time,
    style,
)
from lara.verification.significance import evaluate, rmse_interval

AUTOENCODER_TARGET = 0.15
FORECASTER_TARGETS = {6: 0.50, 24: 0.55}


def draw(run: RunWithNetworks, name: str) -> None:
    """Draw a figure; its arrays are kept beside it. KeyError names the figures there are."""
    known = FIGURES | drawing_comparisons.figures(run) | drawing_production.FIGURES
    if name not in known:
        known |= _figures_that_compute()
    if name not in known:
        raise KeyError(f"no figure '{name}': choose one of {', '.join(known)}")
    run.layout.figure(name).parent.mkdir(parents=True, exist_ok=True)
    style.save(known[name](run), run.layout.figure(name))


def _figures_that_compute() -> dict[str, Callable[[RunWithNetworks], Figure]]:
    """Those whose numbers are finished while they are drawn; apart, since their modules import torch."""
    from lara.experiment import drawing_bootstrap, drawing_osse, drawing_paper, drawing_sizes, drawing_structure

    modules = (drawing_paper, drawing_osse, drawing_structure, drawing_sizes, drawing_bootstrap)
    return {name: drawn for module in modules for name, drawn in module.FIGURES.items()}


def draw_learning_curves(run: Run) -> Figure:
    """Loss against step for every trained network."""
    trained = [name for name in run.config.default_autoencoders if run.config.autoencoders[name].kind != "pca"]
    parts = [
        pd.read_csv(path).assign(network=name, curve=path.stem)
        for name in [*trained, "forecaster"]
        for path in run.layout.curves(name)
    ]
    saved = keep_table(run, "learning_curves", pd.concat(parts, ignore_index=True))
    curves = {str(name): rows for name, rows in saved.groupby("network", sort=False)}
    return learning_curves.draw({name: _training_and_validation(rows) for name, rows in curves.items()})


def draw_analysis_maps(run: RunWithStates) -> Figure:
    """Truth, background, analysis and increment in the middle of the scored period of the reference experiment."""
    saved = keep_fields(run, "analysis_maps", mapped_fields(run, run.config.verification.reference))
    return analysis_maps.draw(saved, pd.read_parquet(run.layout.sites), saved["land"])


def mapped_fields(run: RunWithStates, name: str) -> xr.Dataset:
    """First headline channel at the first slot of the window in the middle of an experiment's scored period, SI."""
    from lara import store
    from lara.stages.states import states_of

    mapped = run.config.verification.headline[0]
    archive = store.open_archive(run.layout.archive(name)).sel(time=[middle_window(run, name).fresh[0]])
    fields = {
        "truth": run.store(run.config.experiments[name].dataset).at(archive["time"].values),
        "background": states_of(run, archive, "_background"),
        "analysis": states_of(run, archive, ""),
    }
    channel = run.channels.position(mapped)
    coordinates = {"latitude": run.grid.latitude, "longitude": run.grid.longitude}
    shown = xr.Dataset({k: (("latitude", "longitude"), v[0, channel]) for k, v in fields.items()}, coordinates)
    increment = shown["analysis"] - shown["background"]
    shown = shown.assign(increment=increment, land=maps.land(run.grid))
    return shown.assign_attrs(channel=mapped, time=str(archive["time"].values[0])[:16])


def draw_rmse_over_time(run: Run) -> Figure:
    """Analysis RMSE of every experiment over the cycled period."""
    squares, begin = _squared_errors(run), evaluation_begin(run)
    gathered = evaluate(squares, begin, _block(run, squares.sel(time=slice(begin, None))), run.generator("bootstrap"))
    saved = keep_fields(run, "rmse_over_time", gathered.assign(floor=_floor(run)))
    return rmse_over_time.draw(saved, list(run.config.verification.headline))


def draw_rmse_by_level(run: Run) -> Figure:
    """Analysis RMSE of every experiment by variable and level."""
    scored = _squared_errors(run).sel(time=slice(evaluation_begin(run), None))
    gathered = rmse_interval(scored, _block(run, scored), run.generator("bootstrap"), "time")
    return rmse_by_level.draw(keep_fields(run, "rmse_by_level", gathered.assign(floor=_floor(run))))


def draw_innovations(run: Run) -> Figure:
    """Departures of the reference experiment by variable and level, used and withheld."""
    departures = pd.read_csv(run.layout.innovations(run.config.verification.reference))
    return innovations.draw(keep_table(run, "innovations", departures))


def draw_forecast_rmse(run: Run) -> Figure:
    """Forecast RMSE against lead time."""
    found = xr.load_dataset(run.layout.scores("forecasts")).sel(region="globe", drop=True)
    chosen = found.sel(channel=list(run.config.verification.headline))
    return forecast_rmse.draw(keep_fields(run, "forecast_rmse", chosen))


def draw_autoencoder_error(run: Run) -> Figure:
    """Reconstruction error per channel beside the PCA's."""
    errors = xr.load_dataset(run.layout.errors(shown_autoencoder(run)))
    scaled = {"autoencoder": errors["rmse"], "pca": errors["pca_rmse"]}
    gathered = xr.Dataset({key: value / errors["change_std"] for key, value in scaled.items()})
    gathered = gathered.assign_attrs(n=errors.attrs["samples"], compression=errors.attrs["compression"])
    return autoencoder_error.draw(keep_fields(run, "autoencoder_error", gathered), AUTOENCODER_TARGET)


def draw_forecaster_skill(run: Run) -> Figure:
    """RMSE over that of persistence, per channel."""
    errors = xr.load_dataset(run.layout.errors("forecaster"))
    leads = [hours(h) for h in (6, 24, 48, 72) if hours(h) in errors["lead_time"].values]
    ratio = (errors["rmse"] / errors["persistence_rmse"]).sel(lead_time=leads).rename("ratio")
    saved = keep_fields(run, "forecaster_skill", ratio.to_dataset().assign_attrs(n=errors.attrs["samples"]))
    return forecaster_skill.draw(saved["ratio"].assign_attrs(saved.attrs), FORECASTER_TARGETS)


def draw_convergence(run: Run) -> Figure:
    """Cost, consistency and work of the reference experiment's cycles."""
    health = pd.read_parquet(run.layout.health(run.config.verification.reference))
    names = {"begin": "time", "2J/p": "two_j_over_p"} | {
        f"J{t}_{e}": f"j{t}_{e}" for t in "bo" for e in ("start", "end")
    }
    shown = health.rename(columns=names)[[*names.values(), "evaluations"]]
    saved = keep_table(run, "convergence", shown)
    return convergence.draw(saved.assign(time=pd.to_datetime(saved["time"])))


def draw_costs(run: Run) -> None:
    """Table and bars of the wall time, processor time and peak memory of every job of the default target."""
    parts = [
        pd.read_csv(path, sep="\t").assign(job=path.stem)
        for path in map(run.layout.benchmark, jobs(run))
        if path.exists()  # a job done by hand leaves none
    ]
    names = {"s": "wall_s", "cpu_time": "processor_s", "max_rss": "peak_mib"}
    table = pd.concat(parts, ignore_index=True).rename(columns=names)[["job", *names.values()]]
    table.to_csv(run.layout.costs, index=False)
    style.save(costs.draw(table), run.layout.figure("costs"))


def jobs(run: Run) -> list[str]:
    """Names of the benchmark files of the default target's jobs, as the rules call them."""
    config, cycled = run.config, run.config.suite("reanalysis")
    chosen = [config.experiments[name] for name in cycled]
    spaces = sorted({one.space for one in chosen if one.variational})
    several = [
        (("generate-dataset",), config.datasets),
        (("simulate-observations", "screen-observations"), config.using("test")),
        (("train-autoencoder", "measure-autoencoder"), config.default_autoencoders),
        (("estimate-background-error",), spaces),
        (("cycle-experiment", "score-experiment", "measure-structure"), cycled),
        (("draw-figure",), FIGURES),
    ]
    return [*(f"{work}-{name}" for works, names in several for work in works for name in names), *SINGLE_JOBS]


SINGLE_JOBS = (
    "compute-statistics",
    "train-forecaster",
    "measure-forecaster",
    "draw-sites",
    "score-forecasts",
    "measure-controls",
    "summarise",
)
FIGURES: dict[str, Callable[[RunWithNetworks], Figure]] = {
    "learning_curves": draw_learning_curves,
    "analysis_maps": draw_analysis_maps,
    "rmse_over_time": draw_rmse_over_time,
    "rmse_by_level": draw_rmse_by_level,
    "innovations": draw_innovations,
    "forecast_rmse": draw_forecast_rmse,
    "autoencoder_error": draw_autoencoder_error,
    "forecaster_skill": draw_forecaster_skill,
    "convergence": draw_convergence,
}


def _training_and_validation(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return rows[rows["curve"] == "training"], rows[rows["curve"] == "validation"]


def _squared_errors(run: Run) -> xr.DataArray:
    """Area-mean squared analysis errors (experiment, time, channel)."""
    sums = all_sums(run).sel(kind="analysis", drop=True)
    return (scores.finish(sums)["rmse"] ** 2).transpose("experiment", "time", "channel")


def _block(run: Run, scored: xr.DataArray) -> int:
    return block_length(scored.sizes["time"], run.config.step_hours)


def _floor(run: Run) -> xr.DataArray:
    """Reconstruction error of the autoencoder shown (channel)."""
    return xr.load_dataset(run.layout.errors(shown_autoencoder(run)))["rmse"]
