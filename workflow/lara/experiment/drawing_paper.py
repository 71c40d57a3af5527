"""Figures after those of Fan et al. (2026, doi:10.1126/sciadv.aea4248), drawn from this run's own data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from lara.experiment.saving import keep_fields, keep_table
from lara.stages.experiments import evaluation_begin
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run
from lara.verification.figures import (
    fig1_framework,
    fig2_background_error,
    fig4_single_observation,
    fig5a_latent_influence,
    fig5b_imbalanced_input,
    fig6a_affine,
    fig6b_linear_range,
    maps,
    table_cost,
)

MAPPED = {"fig5b_imbalanced_input": fig5b_imbalanced_input, "fig6a_affine": fig6a_affine}
PLOTTED = {"fig5a_latent_influence": fig5a_latent_influence, "fig6b_linear_range": fig6b_linear_range}


def draw_framework(run: RunWithNetworks) -> Figure:
    """One window of the reference experiment."""
    from lara.experiment.framework import framework_fields

    return fig1_framework.draw(keep_fields(run, "fig1_framework", framework_fields(run)), maps.land(run.grid))


def draw_error_structure(run: Run) -> Figure:
    """Correlations of background errors."""
    fields = xr.load_dataset(run.layout.error_structure)
    return fig2_background_error.draw(keep_fields(run, "fig2_background_error", fields))


def draw_single_observations(run: Run) -> Figure:
    """Every case on a pressure level, side by side."""
    cases = [name for name, case in run.config.single_observations.items() if case.level is not None]
    fields = [xr.load_dataset(run.layout.increments(name)) for name in cases]
    kept = keep_fields(
        run, "fig4_single_observation", xr.concat(fields, pd.Index(cases, name="case"), combine_attrs="drop")
    )
    shown = [kept.sel(case=name, drop=True).assign_attrs(one.attrs) for name, one in zip(cases, fields, strict=True)]
    return fig4_single_observation.draw(shown, maps.land(run.grid))


def draw_latent_map(run: Run, name: str) -> Figure:
    """A figure of the decoder on maps."""
    fields = keep_fields(run, name, xr.load_dataset(run.layout.latent_space(name)))
    return MAPPED[name].draw(fields, maps.land(run.grid))


def draw_latent_plot(run: Run, name: str) -> Figure:
    """A figure of the decoder without maps."""
    return PLOTTED[name].draw(keep_fields(run, name, xr.load_dataset(run.layout.latent_space(name))))


def draw_cost(run: Run) -> Figure:
    """Seconds, gradients and memory of an analysis, experiment by experiment."""
    return table_cost.draw(keep_table(run, "table_cost", cost_table(run)))


def cost_table(run: Run) -> pd.DataFrame:
    """A row per variational experiment of the suites `reanalysis` and `osse`; medians after the spin-up."""
    names = [name for suite in ("reanalysis", "osse") for name in run.config.suite(suite)]
    return pd.DataFrame([_cost(run, name) for name in names if run.config.experiments[name].variational])


def _cost(run: Run, name: str) -> dict[str, object]:
    chosen = run.config.experiments[name]
    ledger = [pd.read_parquet(path) for path in (run.layout.health(name), run.layout.timings(name))]
    windows = ledger[0].merge(ledger[1], on="begin", validate="many_to_one")
    after = windows[pd.to_datetime(windows["begin"]) >= evaluation_begin(run, name)]
    seconds = float(after["seconds"].median())
    return {
        "experiment": name,
        "method": chosen.method,
        "slots": chosen.slots,
        "windows": len(after),
        "evaluations": float(after["evaluations"].median()),
        "seconds": seconds,
        "seconds_per_slot": seconds / chosen.slots,
        "peak_memory_mb": float(after["peak_memory_MB"].max()),
    }


FIGURES: dict[str, Callable[[RunWithNetworks], Figure]] = {
    "fig1_framework": draw_framework,
    "fig2_background_error": draw_error_structure,
    "fig4_single_observation": draw_single_observations,
    **{name: partial(draw_latent_map, name=name) for name in MAPPED},
    **{name: partial(draw_latent_plot, name=name) for name in PLOTTED},
    "table_cost": draw_cost,
}
