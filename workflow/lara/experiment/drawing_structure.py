"""Figures of spectra, tails, balance and budgets: every experiment beside the free run, controls and the floor."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from lara.experiment.saving import keep_fields
from lara.stages.experiments import CONTROLS
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run
from lara.verification import aggregation, balance, physics, spectra, tails
from lara.verification.figures import balance as balance_figure
from lara.verification.figures import budgets, extremes
from lara.verification.figures import spectra as spectra_figure


def structures(run: Run) -> dict[str, xr.Dataset]:
    """What was measured of every experiment of the default suite and of the controls."""
    names = [*CONTROLS, *run.config.suite("reanalysis")]
    return {name: xr.load_dataset(run.layout.structure(name)) for name in names}


def draw_spectra(run: Run) -> Figure:
    """Power over the truth's and coherence with it, by wavenumber."""
    headline = list(run.config.verification.headline)
    found = {name: spectra.finish(_sums(spectra, one)) for name, one in structures(run).items()}
    fields = _joined(found).sel(channel=headline)[["ratio", "coherence"]]
    return spectra_figure.draw(keep_fields(run, "spectra", fields.assign_attrs(n=_count(run))))


def draw_extremes(run: Run) -> Figure:
    """Errors of quantiles, and extremes found where they are."""
    headline = list(run.config.verification.headline)
    found = {name: tails.finish(_sums(tails, one)) for name, one in structures(run).items()}
    return extremes.draw(keep_fields(run, "extremes", _joined(found).sel(channel=headline).assign_attrs(n=_count(run))))


def draw_balance(run: Run) -> Figure:
    """Balance of increments, kinetic energy, and noise of the first forecast steps."""
    found = {}
    for name, one in structures(run).items():
        others = [key for key in ("kinetic_energy", "tendency") if key in one]
        found[name] = balance.finish(_sums(balance, one)).merge(one[others])
    return balance_figure.draw(keep_fields(run, "balance", _joined(found).assign_attrs(n=_count(run))))


def draw_budgets(run: Run) -> Figure:
    """Global mass, moisture and energy over time, less the truth's, with drift and jumps."""
    names, rows = list(structures(run)), []
    errors, found = [], structures(run)
    for name in names:
        budget = found[name]["budget"]
        error = budget.sel(kind="analysis", drop=True) - budget.sel(kind="truth", drop=True)
        errors.append(error)
        for quantity in budget["quantity"].values:
            own = budget.sel(quantity=quantity)
            slope, spread = physics.drift(error.sel(quantity=quantity))
            jump = physics.jumps(*(own.sel(kind=kind) for kind in ("analysis", "background", "truth")))
            rows.append({"source": name, "quantity": str(quantity), "drift": slope, "spread": spread, "jump": jump})
    table = pd.DataFrame(rows).set_index(["source", "quantity"]).to_xarray()
    fields = table.assign(error=xr.concat(errors, pd.Index(names, name="source"))).sel(source=names)
    return budgets.draw(keep_fields(run, "budgets", fields.assign_attrs(n=_count(run))))


def _sums(statistic: aggregation.Statistic, one: xr.Dataset) -> xr.Dataset:
    """Sums of a statistic over all months."""
    return aggregation.of(statistic, one).sum("month")


def _joined(found: dict[str, xr.Dataset]) -> xr.Dataset:
    return xr.concat(list(found.values()), pd.Index(list(found), name="source"), data_vars="all", join="outer")


def _count(run: Run) -> int:
    return int(xr.load_dataset(run.layout.structure("truth")).attrs["n"])


FIGURES: dict[str, Callable[[RunWithNetworks], Figure]] = {
    "spectra": draw_spectra,
    "extremes": draw_extremes,
    "balance": draw_balance,
    "budgets": draw_budgets,
}
