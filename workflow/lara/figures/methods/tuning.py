"""Likelihood of innovations against each factor on B and R, for the experiments that are tuned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lara.figures import style
from lara.stages.reading import read_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "osse"
KEPT_AS = "csv"
CAPTION = "Likelihood of innovations against every factor on B and R; the largest is taken."
NEEDS = "an experiment of the suite `reanalysis` or `osse` with `factors: null`"
FACTORS = {
    "scale": "factor of the background error variance (1)",
    "length": "factor of the correlation length (1)",
    "observation": "factor of the observation error variance (1)",
}
MARKERS = "osD^vPX"


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Trials of every search."""
    return [layout.tuning_trials(name) for name in _tuned(config)]


def _tuned(config: Config) -> list[str]:
    """Experiments whose factors are searched for, of the suites that share a figure."""
    return [name for name, e in config.experiments.items() if e.tuned and e.suite in ("reanalysis", "osse")]


def gather(run: Run) -> pd.DataFrame:
    """The trials of every search: experiment, stage, factors, log_likelihood, chosen, n."""
    parts = [read_csv(run.layout.tuning_trials(name)) for name in _tuned(run.config)]
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Figure:
    """Mean log-likelihood per datum, less the highest, against each factor; a line per experiment, the chosen starred.

    A line joins, at each value of a factor, the highest over the others (the profile); fainter dots are all that was
    tried near it, on the same data in every stage. Columns: experiment, stage, scale, length, observation (NaN where
    there is no such factor), log_likelihood, rms_normalised_innovation (1), chosen (bool), n (data). ValueError unless
    each experiment has one chosen row and some factor was varied.
    """
    experiments = [str(name) for name in table["experiment"].unique()]
    chosen = table.loc[table["chosen"], "experiment"].tolist()
    if sorted(chosen) != sorted(experiments):
        raise ValueError(f"each of {', '.join(experiments)} needs one chosen row; found {', '.join(chosen) or 'none'}")
    varied = [name for name in FACTORS if (table.groupby("experiment")[name].nunique() > 1).any()]
    if not varied:
        raise ValueError(f"no experiment tried two values of any of {', '.join(FACTORS)}; there is no curve to draw")
    highest = table.groupby("experiment")["log_likelihood"].transform("max")
    figure, panels = style.panels(len(varied), width=4.0, height=3.6)
    for axes, factor in zip(panels, varied, strict=True):
        _panel(axes, table.assign(relative=table["log_likelihood"] - highest), factor)
    panels[0].set_ylabel("mean log-likelihood per datum,\nless the highest (1)")
    shown = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=1)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, factor: str) -> None:
    for i, (name, rows) in enumerate(table.groupby("experiment", sort=False)):
        if rows[factor].nunique() < 2:
            continue
        look: dict[str, Any] = {"color": style.colour(str(name)), "marker": MARKERS[i % len(MARKERS)]}
        profile, best = rows.groupby(factor)["relative"].max(), rows[rows["chosen"]].iloc[0]
        axes.plot(rows[factor], rows["relative"], **look, linestyle="none", markersize=3, alpha=0.3)
        label = f"{name}: chosen {_values(best)}, rms of normalised innovations "
        label += f"{best['rms_normalised_innovation']:.2f}, n = {best['n']}"
        axes.plot(profile.index, profile, **look, markersize=5, label=label)
        axes.plot(best[factor], best["relative"], "*", color=look["color"], markersize=14, markeredgecolor="white")
    from matplotlib.ticker import NullLocator

    lowest = float(table.groupby(["experiment", factor])["relative"].max().min()) or -1e-3
    axes.set_ylim(1.15 * lowest, -0.1 * lowest)
    axes.set(xscale="log", xlabel=FACTORS[factor])
    ticks = _apart(sorted(table[factor].dropna().unique()))
    axes.set_xticks(ticks, [f"{value:.3g}" for value in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _apart(values: list[float]) -> list[float]:
    """Those of ascending positive values whose labels do not overlap on a logarithmic axis."""
    least = (values[-1] / values[0]) ** (1 / 9)
    kept = values[:1]
    for value in values[1:]:
        if value / kept[-1] >= least:
            kept.append(value)
    return kept


def _values(best: pd.Series) -> str:
    return ", ".join(f"{name} {best[name]:g}" for name in FACTORS if pd.notna(best[name]))
