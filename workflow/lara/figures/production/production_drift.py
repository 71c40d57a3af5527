"""Global means of a long reanalysis and of the truth with their trends, and the trend of the difference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lara.figures import style
from lara.stages.reading import read_csv, read_dataset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "production"
KEPT_AS = "nc"
CAPTION = (
    "Global means of analyses and truth, and their difference, each with its trend per year: there is no drift where "
    "the interval of the difference's trend holds zero."
)
NEEDS = "experiments of the suite `production`"
MEAN = "global mean "


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Report of the suite `production`."""
    return [layout.production(part) for part in ("series.nc", "trends.csv")] if config.suite("production") else []


def gather(run: Run) -> xr.Dataset:
    """`mean` and `truth` (experiment, time, quantity), SI, with the trends of both and of their difference.

    `trend_per_year`, `low`, `high` (experiment, quantity, of; SI per year), of days after the spin-up; attrs: `n` days,
    `joined` (where streams join).
    """
    from lara.figures import gathering

    series = read_dataset(run.layout.production("series.nc"))[["mean", "truth"]]
    trends = read_csv(run.layout.production("trends.csv"))
    means = trends[trends["quantity"].str.startswith(MEAN)]
    means = means.assign(quantity=means["quantity"].str.removeprefix(MEAN)).set_index(["experiment", "quantity", "of"])
    found = series.merge(means[["trend_per_year", "low", "high"]].to_xarray(), join="left")
    return found.assign_attrs(n=int(trends["days"].max()), joined=gathering.joined(run))


def draw(fields: xr.Dataset) -> Figure:
    """Global means of analyses and truth, and below them their difference with its trend per year."""
    names = [str(name) for name in fields["quantity"].values]
    figure, panels = style.panels(2 * len(names), width=5.6, height=3.1, columns=len(names))
    for upper, lower, name in zip(panels[: len(names)], panels[len(names) :], names, strict=True):
        unit = style.unit("t" if name == "t" else style.channel(name).variable)
        for experiment in fields["experiment"].values:
            one, look = fields.sel(experiment=experiment, quantity=name), style.line(str(experiment))
            upper.plot(one["time"], one["mean"], **{**look, "label": _words(one.sel(of="analysis"))})
            label = _words(one.sel(of="analysis less truth"))
            lower.plot(one["time"], one["mean"] - one["truth"], **{**look, "label": label})
        first = fields.isel(experiment=0).sel(quantity=name)
        upper.plot(first["time"], first["truth"], color=style.GREY, linestyle="--", label="truth")
        lower.axhline(0.0, color=style.GREY, linewidth=0.8)
        upper.set(title=f"global mean {name}", ylabel=f"analysis ({unit})")
        lower.set(ylabel=f"analysis less truth ({unit})")
        for axes in (upper, lower):
            style.mark_times(axes, fields.attrs["joined"].split())
            style.date_axis(axes)
            axes.legend(loc="upper left", bbox_to_anchor=(0, -0.1), fontsize=7)
    figure.suptitle(
        f"n = {fields.attrs['n']} days after the spin-up; legend: trend per year [95 % interval]",
        fontsize=9,
    )
    return figure


def _words(one: xr.Dataset) -> str:
    trend, low, high = (style.number(float(one[key])) for key in ("trend_per_year", "low", "high"))
    return f"{one['experiment'].item()}: {trend} [{low}, {high}]"
