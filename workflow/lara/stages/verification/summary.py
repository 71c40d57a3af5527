"""The summary of a run: every headline figure, gathered from files that rules made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from lara.assimilation import FAILED
from lara.stages.experiments import controls, evaluation_begin
from lara.stages.reading import read_csv, read_dataset, read_table
from lara.stages.run import Run, hours
from lara.stages.verification.comparison import difference, scored_sums
from lara.stages.writing import write_record
from lara.verification import scores

SCORES = ("rmse", "bias", "acc")


def write_summary(run: Run) -> None:
    """Write `summary.json` whole or not at all; ValueError for a figure that is no number."""
    write_record(summarise(run), run.layout.summary)


def summarise(run: Run) -> dict[str, object]:
    """Every headline figure of the run; fields in SI units."""
    return {
        "name": run.config.name,
        "autoencoders": {name: summarise_autoencoder(run, name) for name in run.config.default_autoencoders},
        "forecaster": summarise_forecaster(run),
        "experiments": {name: summarise_experiment(run, name) for name in run.config.suite("reanalysis")},
        "differences": summarise_differences(run, run.config.verification.reference),
        "forecasts": summarise_forecasts(run),
    }


def summarise_autoencoder(run: Run, name: str) -> dict[str, object]:
    """Reconstruction error in units of the std of 24 h changes, beside the PCA of the same size."""
    errors = read_dataset(run.layout.network_scores(name))
    ratio, linear = errors["rmse"] / errors["change_std"], errors["pca_rmse"] / errors["change_std"]
    upper = run.config.state.upper_air
    own, pca = ({v: _rms(run, one, [v]) for v in upper} for one in (ratio, linear))
    return {
        "compression": errors.attrs["compression"],
        "samples": int(errors.attrs["samples"]),
        "error_over_24h_change": own,
        "pca_error_over_24h_change": pca,
        "dynamical_error_over_24h_change": _rms(run, ratio, [v for v in upper if v != "q"]),
        "reduction_below_pca": {v: 1 - own[v] / pca[v] for v in upper},
    }


def summarise_forecaster(run: Run) -> dict[str, object]:
    """RMSE over that of persistence, root mean square over channels."""
    errors = read_dataset(run.layout.network_scores("forecaster"))
    ratio = errors["rmse"] / errors["persistence_rmse"]
    leads = [h for h in (6, 12, 24, 48, 72, 120) if hours(h) in ratio["lead_time"].values]
    return {
        "samples": int(errors.attrs["samples"]),
        "rmse_over_persistence": {str(h): float(np.sqrt((ratio.sel(lead_time=hours(h)) ** 2).mean())) for h in leads},
    }


def summarise_experiment(run: Run, name: str) -> dict[str, object]:
    """Scores of analysis and background after the spin-up, gains on the controls, consistency, fit."""
    sums = scored_sums(run)
    finished = scores.finish(sums.sum("time")).sel(channel=list(run.config.verification.headline))
    rmse = finished["rmse"].sel(kind="analysis")
    return {
        "n": sums.sizes["time"],
        "begin": str(sums["time"].values[0])[:16],
        **{kind: _scores(finished.sel(experiment=name, kind=kind)) for kind in ("analysis", "background")},
        "reduction_below_free": _reductions(rmse, name, controls(run, name, "free")),
        "reduction_below_autoencoder_only": _reductions(rmse, name, controls(run, name, "autoencoder-only")),
        "symptoms": summarise_symptoms(run, name),
        **summarise_minimisations(run, name),
        "withheld": summarise_withheld(run, name),
    }


def summarise_symptoms(run: Run, name: str) -> dict[str, list[str]]:
    """Faults of an experiment's analyses, if any, and the diagnostic that shows each."""
    from lara.verification import symptoms

    sums = scored_sums(run).sel(experiment=name, kind="analysis", drop=True)
    measured, floor = (read_dataset(run.layout.structure(source)) for source in (name, "reconstruction"))
    return symptoms.found(sums, measured, floor)


def summarise_minimisations(run: Run, name: str) -> dict[str, object]:
    """Consistency and work of the windows after the spin-up; nothing for a control, which minimises nothing."""
    health = read_table(run.layout.health(name))
    after = health[pd.to_datetime(health["begin"]) >= evaluation_begin(run)]
    found: dict[str, object] = {"windows": len(after)}
    if failed := int((after["reason"] == FAILED).sum()):
        found["backgrounds_published"] = failed
    minimised = after[after["evaluations"] > 0]
    if minimised.empty:
        return found
    found |= {
        "evaluations_mean": float(minimised["evaluations"].mean()),
        "stop_reasons": minimised["reason"].value_counts().to_dict(),
    }
    consistency = minimised["2J/p"].dropna()  # a window without data has none
    return found if consistency.empty else found | {"two_j_over_p_mean": float(consistency.mean())}


def summarise_withheld(run: Run, name: str) -> dict[str, object]:
    """Bias and RMS of withheld observations less background (ombg) and analysis (oman), by variable over its levels."""
    table = read_csv(run.layout.innovations(name))
    return {str(variable): _pooled(rows) for variable, rows in table[table["withheld"]].groupby("variable")}


def _pooled(rows: pd.DataFrame) -> dict[str, float]:
    weight = rows["n"] / rows["n"].sum()
    found: dict[str, float] = {"n": int(rows["n"].sum())}
    for key in ("ombg", "oman"):
        found[f"{key}_bias"] = float((weight * rows[f"{key}_mean"]).sum())
        found[f"{key}_rms"] = float(np.sqrt((weight * rows[f"{key}_rms"] ** 2).sum()))
    return found


def summarise_differences(run: Run, reference: str) -> dict[str, object]:
    """Analysis RMSE of the reference less that of every other, with its paired 95 % interval, by headline channel."""
    sums = scored_sums(run).sel(channel=list(run.config.verification.headline))
    others = [name for name in run.config.suite("reanalysis") if name != reference]
    return {f"{reference} - {other}": _by_channel(difference(run, sums, reference, other)) for other in others}


def summarise_forecasts(run: Run) -> dict[str, object]:
    """Forecast RMSE of the headline channels by source at whole days."""
    rmse = read_dataset(run.layout.scores("forecasts")).sel(region="globe", drop=True)
    days = range(1 + int(rmse["lead_time"].values[-1] / hours(24)))
    return {
        "n": int(rmse.attrs["n"]),
        "first_init": rmse.attrs["first_init"],
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


def _scores(finished: xr.Dataset) -> dict[str, dict[str, float]]:
    return {score: _values(finished[score]) for score in SCORES}


def _values(field: xr.DataArray) -> dict[str, float]:
    """Numbers by channel."""
    return {str(channel): float(field.sel(channel=channel)) for channel in field["channel"].values}


def _reductions(rmse: xr.DataArray, name: str, below: Sequence[str]) -> dict[str, dict[str, float]]:
    """1 - RMSE / RMSE of each control, by control and channel."""
    return {other: _values(1 - rmse.sel(experiment=name) / rmse.sel(experiment=other)) for other in below}


def _by_channel(interval: xr.Dataset) -> dict[str, dict[str, float]]:
    return {
        str(channel): {
            **{key: float(interval[key].sel(channel=channel)) for key in ("difference", "low", "high")},
            "n": int(interval.attrs["n"]),
        }
        for channel in interval["channel"].values
    }


def _rms(run: Run, ratio: xr.DataArray, variables: Sequence[str]) -> float:
    chosen = [channel.name for channel in run.channels.channels if channel.variable in variables]
    return float(np.sqrt((ratio.sel(channel=chosen) ** 2).mean()))
