"""Figures of a run: the arrays of each are gathered and saved first, then drawn from what was saved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from lara import store
from lara.experiment.run import Run, hours
from lara.experiment.scoring import DAYS_PER_BLOCK, evaluation_begin, states_of
from lara.observations.network import is_land
from lara.verification import scores as scoring
from lara.verification.figures import (
    analysis_maps,
    autoencoder_error,
    convergence,
    costs,
    forecast_rmse,
    forecaster_skill,
    innovations,
    learning_curves,
    rmse_by_level,
    rmse_over_time,
    style,
)
from lara.verification.significance import rmse_interval

MAPPED = "z500"
AUTOENCODER_TARGET = 0.15
FORECASTER_TARGETS = {6: 0.50, 24: 0.55}


def draw(run: Run, name: str) -> None:
    """Draw a figure; its arrays are kept beside it. KeyError names the figures there are."""
    if name not in FIGURES:
        raise KeyError(f"no figure '{name}': choose one of {', '.join(FIGURES)}")
    style.save(FIGURES[name](run), run.layout.figure(name))


def draw_learning_curves(run: Run) -> Figure:
    """Loss against step for every trained network."""
    trained = [name for name, chosen in run.config.autoencoders.items() if chosen.kind != "pca"]
    curves = {name: tuple(pd.read_csv(path) for path in run.layout.curves(name)) for name in [*trained, "forecaster"]}
    return learning_curves.draw(curves)


def draw_analysis_maps(run: Run) -> Figure:
    """Truth, background, analysis and increment in the middle of the scored period of the reference experiment."""
    name = run.config.verification.reference
    archive = store.open_archive(run.layout.archive(name))
    times = archive["time"].values[:: run.config.experiments[name].slots]
    scored = times[times >= evaluation_begin(run, name)]
    archive = archive.sel(time=scored[len(scored) // 2 : len(scored) // 2 + 1])
    channel = run.channels.position(MAPPED)
    fields = {
        "truth": run.store(run.config.experiments[name].dataset).at(archive["time"].values),
        "background": states_of(run, archive, "_background"),
        "analysis": states_of(run, archive, ""),
    }
    coordinates = {"latitude": run.grid.latitude, "longitude": run.grid.longitude}
    maps = xr.Dataset({k: (("latitude", "longitude"), v[0, channel]) for k, v in fields.items()}, coordinates)
    maps["increment"] = maps["analysis"] - maps["background"]
    saved = _saved(run, "analysis_maps", maps.assign_attrs(channel=MAPPED, time=str(archive["time"].values[0])[:16]))
    return analysis_maps.draw(saved, pd.read_parquet(run.layout.sites), _land(run))


def draw_rmse_over_time(run: Run) -> Figure:
    """Analysis RMSE of every experiment over the cycled period."""
    squares = _squared_errors(run)
    reference = run.config.verification.reference
    begin = evaluation_begin(run, reference)
    scored = squares.sel(time=slice(begin, None))
    interval = _interval(run, scored)
    gathered = interval.rename(rmse="mean").assign(rmse=np.sqrt(squares), floor=_floor(run))
    gathered = gathered.assign_attrs(evaluation_begin=str(begin)[:19], n=scored.sizes["time"], confidence=0.95)
    return rmse_over_time.draw(_saved(run, "rmse_over_time", gathered), list(run.config.verification.headline))


def draw_rmse_by_level(run: Run) -> Figure:
    """Analysis RMSE of every experiment by variable and level."""
    begin = evaluation_begin(run, run.config.verification.reference)
    scored = _squared_errors(run).sel(time=slice(begin, None))
    gathered = _interval(run, scored).assign(floor=_floor(run))
    gathered = gathered.assign_attrs(n=scored.sizes["time"], confidence=0.95)
    return rmse_by_level.draw(_saved(run, "rmse_by_level", gathered))


def draw_innovations(run: Run) -> Figure:
    """Departures of the reference experiment by variable and level, used and withheld."""
    return innovations.draw(pd.read_csv(run.layout.innovations(run.config.verification.reference)))


def draw_forecast_rmse(run: Run) -> Figure:
    """Forecast RMSE against lead time."""
    found = xr.load_dataset(run.layout.scores("forecasts"))
    chosen = found.sel(channel=list(run.config.verification.headline))
    return forecast_rmse.draw(_saved(run, "forecast_rmse", chosen))


def draw_autoencoder_error(run: Run) -> Figure:
    """Reconstruction error per channel beside the PCA's."""
    name = run.config.experiments[run.config.verification.reference].autoencoder or ""
    errors = xr.load_dataset(run.layout.errors(name))
    scaled = {"autoencoder": errors["rmse"], "pca": errors["pca_rmse"]}
    gathered = xr.Dataset({key: value / errors["change_std"] for key, value in scaled.items()})
    gathered = gathered.assign_attrs(n=errors.attrs["samples"], compression=errors.attrs["compression"])
    return autoencoder_error.draw(_saved(run, "autoencoder_error", gathered), AUTOENCODER_TARGET)


def draw_forecaster_skill(run: Run) -> Figure:
    """RMSE over that of persistence, per channel."""
    errors = xr.load_dataset(run.layout.errors("forecaster"))
    leads = [hours(h) for h in (6, 24, 48, 72) if hours(h) in errors["lead_time"].values]
    ratio = (errors["rmse"] / errors["persistence_rmse"]).sel(lead_time=leads).rename("ratio")
    saved = _saved(run, "forecaster_skill", ratio.to_dataset().assign_attrs(n=errors.attrs["samples"]))
    return forecaster_skill.draw(saved["ratio"].assign_attrs(saved.attrs), FORECASTER_TARGETS)


def draw_convergence(run: Run) -> Figure:
    """Costs, consistency and work over the cycles of the reference experiment."""
    health = pd.read_parquet(run.layout.health(run.config.verification.reference))
    names = {"begin": "time", "2J/p": "two_j_over_p"} | {
        f"J{t}_{e}": f"j{t}_{e}" for t in "bo" for e in ("start", "end")
    }
    return convergence.draw(health.rename(columns=names))


def draw_costs(run: Run) -> None:
    """Table and bars of the wall time, processor time and peak memory of every job."""
    parts = [
        pd.read_csv(path, sep="\t").assign(job=path.stem) for path in sorted(run.layout.costs.parent.glob("*.tsv"))
    ]
    names = {"s": "wall_s", "cpu_time": "processor_s", "max_rss": "peak_mib"}
    table = pd.concat(parts, ignore_index=True).rename(columns=names)[["job", *names.values()]]
    table.to_csv(run.layout.costs, index=False)
    style.save(costs.draw(table), run.layout.figure("costs"))


FIGURES: dict[str, Callable[[Run], Figure]] = {
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


def _saved(run: Run, name: str, arrays: xr.Dataset) -> xr.Dataset:
    """Keep the arrays of a figure and return them as they read back."""
    path = run.layout.figure(name).with_suffix(".nc")
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays.to_netcdf(path)
    return xr.load_dataset(path)


def _squared_errors(run: Run) -> xr.DataArray:
    """Area-mean squared analysis errors (experiment, time, channel)."""
    found = [
        xr.load_dataset(run.layout.scores(name)).sel(kind="analysis", drop=True) for name in run.config.experiments
    ]
    parts = [scoring.finish(sums)["rmse"] ** 2 for sums in found]
    return xr.concat(parts, pd.Index(list(run.config.experiments), name="experiment"), join="inner")


def _interval(run: Run, squares: xr.DataArray) -> xr.Dataset:
    block = DAYS_PER_BLOCK * 24 // run.config.step_hours
    return rmse_interval(squares, min(block, squares.sizes["time"] // 2), run.generator("bootstrap"), "time")


def _floor(run: Run) -> xr.DataArray:
    """Reconstruction error of the reference autoencoder (channel)."""
    name = run.config.experiments[run.config.verification.reference].autoencoder or ""
    return xr.load_dataset(run.layout.errors(name))["rmse"]


def _land(run: Run) -> xr.DataArray:
    """Rough land mask used to draw the network (latitude, longitude)."""
    latitude, longitude = np.meshgrid(run.grid.latitude, run.grid.longitude, indexing="ij")
    mask = is_land(latitude.ravel(), longitude.ravel()).reshape(latitude.shape)
    coordinates = {"latitude": run.grid.latitude, "longitude": run.grid.longitude}
    return xr.DataArray(mask.astype(float), coordinates, ("latitude", "longitude"))
