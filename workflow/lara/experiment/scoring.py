"""Scores of a run: cycled experiments and forecasts from them against the truth, and the summary of everything."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from lara import store
from lara.experiment.run import Run, hours, time
from lara.observations import table as tables
from lara.verification import innovations, scores
from lara.verification.significance import rmse_interval

DAYS_PER_BLOCK = 5


def score_experiment(run: Run, name: str) -> xr.Dataset:
    """Sums for the scores of analyses and backgrounds (kind, time, channel) against the truth."""
    archive = store.open_archive(run.layout.archive(name))
    kinds = {"analysis": "", "background": "_background"}
    parts = [_score(run, name, states_of(run, archive, suffix), archive["time"].values) for suffix in kinds.values()]
    return xr.concat(parts, pd.Index(list(kinds), name="kind"))


def score_innovations(run: Run, name: str) -> pd.DataFrame:
    """Departure statistics of an experiment after its spin-up, by variable, level and use."""
    feedback = tables.read_feedback(run.layout.feedback(name))
    return innovations.by_level(feedback[feedback[tables.TIME] >= evaluation_begin(run, name)])


def score_forecasts(run: Run, name: str) -> xr.Dataset:
    """RMSE with interval (source, lead_time, channel) of forecasts from an experiment's analyses after its spin-up.

    Sources: the experiment's analyses, the free run, persistence of the analysis, climatology, and the truth as a start
    (the best the forecaster can do).
    """
    inits = list(_inits(run, name))
    fields = xr.concat([_score_forecast(run, name, init) for init in inits], pd.Index(inits, name="init_time"))
    block = max(1, round(DAYS_PER_BLOCK / run.config.verification.forecast_every_days))
    block = min(block, len(inits) // 2)
    return rmse_interval(fields, block, run.generator("bootstrap"))


def evaluation_begin(run: Run, name: str) -> np.datetime64:
    """First time after an experiment's spin-up."""
    return time(run.config.period(name)[0]) + hours(24 * run.config.verification.spin_up_days)


def _inits(run: Run, name: str) -> Iterator[np.datetime64]:
    settings = run.config.verification
    truth = run.store(run.config.experiments[name].dataset)
    lead = hours(round(settings.lead_days * 24))
    last = min(time(run.config.period(name)[1]), truth.times[-1] + run.step - lead)
    init, every = evaluation_begin(run, name), hours(round(settings.forecast_every_days * 24))
    while init < last:
        yield init
        init = init + every


@torch.no_grad()
def _score_forecast(run: Run, name: str, init: np.datetime64) -> xr.DataArray:
    steps = round(run.config.verification.lead_days * 24 / run.config.step_hours)
    truth = run.store(run.config.experiments[name].dataset)
    valid = init + run.step * np.arange(steps + 1)
    target = torch.from_numpy(truth.at(valid))
    climate = torch.from_numpy(run.statistics.climatology_at(valid)).float()
    starts = {key: _analysis(run, key, init) for key in (name, *_free(run))}
    sources = {key: _trajectory(run, start, steps) for key, start in (starts | {"perfect start": target[0]}).items()}
    sources |= {"persistence": starts[name].expand_as(target), "climatology": climate}
    area = run.area_weights()
    errors = [(area * (source - target) ** 2).mean((2, 3)).numpy() for source in sources.values()]
    leads = run.lead_times(steps)
    coordinates = {"source": list(sources), "lead_time": leads, "channel": run.channels.names}
    return xr.DataArray(np.stack(errors), coordinates, ("source", "lead_time", "channel"))


def _free(run: Run) -> list[str]:
    return [name for name, experiment in run.config.experiments.items() if experiment.method == "free"]


def _trajectory(run: Run, state: Tensor, steps: int) -> Tensor:
    states = [state[None]]
    for _ in range(steps):
        states.append(run.forecast_step(states[-1]))
    return torch.cat(states)


def _analysis(run: Run, name: str, moment: np.datetime64) -> Tensor:
    archive = store.open_archive(run.layout.archive(name)).sel(time=[moment])
    return torch.from_numpy(states_of(run, archive, ""))[0]


def states_of(run: Run, archive: xr.Dataset, suffix: str) -> np.ndarray:
    """States (time, channel, y, x) of an opened archive; suffix "" for analyses, "_background" for backgrounds."""
    short = {f"{channel.meta.archive_name}{suffix}": channel.variable for channel in run.channels.channels}
    return run.channels.from_dataset(archive[list(short)].rename(short).load())


def _score(run: Run, name: str, states: np.ndarray, times: np.ndarray) -> xr.Dataset:
    truth = run.store(run.config.experiments[name].dataset).at(times)
    climate = run.statistics.climatology_at(times)
    return scores.score_sums(states, truth, climate, run.grid.area_weights, times, run.channels.names)


def headline(run: Run, name: str) -> dict[str, float]:
    """Analysis RMSE of the headline channels after the spin-up, SI units."""
    sums = xr.load_dataset(run.layout.scores(name)).sel(kind="analysis")
    rmse = scores.mean_over(sums, slice(evaluation_begin(run, name), None))["rmse"]
    return {channel: float(rmse.sel(channel=channel)) for channel in run.config.verification.headline}


def summarise(run: Run) -> dict[str, object]:
    """Every headline figure of the run, each from files that a rule made."""
    return {
        "name": run.config.name,
        "autoencoders": {name: summarise_autoencoder(run, name) for name in run.config.autoencoders},
        "forecaster": summarise_forecaster(run),
        "experiments": {name: summarise_experiment(run, name) for name in run.config.experiments},
        "forecasts": summarise_forecasts(run),
    }


def summarise_autoencoder(run: Run, name: str) -> dict[str, object]:
    """Reconstruction error in units of the std of 24 h changes, beside the PCA of the same size."""
    errors = xr.load_dataset(run.layout.errors(name))
    ratio, linear = errors["rmse"] / errors["change_std"], errors["pca_rmse"] / errors["change_std"]
    variables = [variable for variable in run.config.state.upper_air if variable != "q"]
    return {
        "compression": errors.attrs["compression"],
        "samples": int(errors.attrs["samples"]),
        "error_over_24h_change": {v: _rms(run, ratio, [v]) for v in run.config.state.upper_air},
        "pca_error_over_24h_change": {v: _rms(run, linear, [v]) for v in run.config.state.upper_air},
        "dynamical_error_over_24h_change": _rms(run, ratio, variables),
        "reduction_below_pca": {
            v: 1 - _rms(run, ratio, [v]) / _rms(run, linear, [v]) for v in run.config.state.upper_air
        },
    }


def summarise_forecaster(run: Run) -> dict[str, object]:
    """RMSE over that of persistence, root mean square over channels."""
    errors = xr.load_dataset(run.layout.errors("forecaster"))
    ratio = errors["rmse"] / errors["persistence_rmse"]
    leads = [h for h in (6, 12, 24, 48, 72, 120) if hours(h) in ratio["lead_time"].values]
    return {
        "samples": int(errors.attrs["samples"]),
        "rmse_over_persistence": {str(h): float(np.sqrt((ratio.sel(lead_time=hours(h)) ** 2).mean())) for h in leads},
    }


def summarise_experiment(run: Run, name: str) -> dict[str, object]:
    """Analysis RMSE, reduction against the free run, consistency and fit to the withheld observations."""
    own = headline(run, name)
    found: dict[str, object] = {"analysis_rmse": own}
    for control in _free(run):
        free = headline(run, control)
        found["reduction_below_free"] = {c: 1 - value / free[c] for c, value in own.items()}
    health = pd.read_parquet(run.layout.health(name))
    after = health[pd.to_datetime(health["begin"]) >= evaluation_begin(run, name)]
    found |= {
        "cycles": len(health),
        "evaluations_mean": float(health["evaluations"].mean()),
        "two_j_over_p_mean": float(after["2J/p"].mean()),
        "stop_reasons": health["reason"].value_counts().to_dict(),
    }
    return found | {"withheld": summarise_withheld(run, name)}


def summarise_withheld(run: Run, name: str) -> dict[str, object]:
    """RMS departures of withheld observations from background and analysis, by variable over its levels."""
    table = pd.read_csv(run.layout.innovations(name))
    table = table[table["withheld"]]
    found: dict[str, object] = {}
    for variable, rows in table.groupby("variable"):
        weight = rows["n"] / rows["n"].sum()
        rms = {key: float(np.sqrt((weight * rows[key] ** 2).sum())) for key in ("ombg_rms", "oman_rms")}
        found[str(variable)] = {**rms, "n": int(rows["n"].sum())}
    return found


def summarise_forecasts(run: Run) -> dict[str, object]:
    """Forecast RMSE of the headline channels by source at whole days."""
    rmse = xr.load_dataset(run.layout.scores("forecasts"))
    days = range(1 + int(rmse["lead_time"].values[-1] / hours(24)))
    return {
        "n": int(rmse.attrs["n"]),
        "rmse": {
            str(source): {
                channel: {
                    f"{day} d": float(rmse["rmse"].sel(source=source, channel=channel, lead_time=hours(24 * day)))
                    for day in days
                }
                for channel in run.config.verification.headline
            }
            for source in rmse["source"].values
        },
    }


def write_summary(run: Run) -> None:
    """Write `summary.json`."""
    run.layout.summary.write_text(json.dumps(summarise(run), indent=2) + "\n")


def _rms(run: Run, ratio: xr.DataArray, variables: list[str]) -> float:
    chosen = [channel.name for channel in run.channels.channels if channel.variable in variables]
    return float(np.sqrt((ratio.sel(channel=chosen) ** 2).mean()))
