"""Increments of single observations in mid-latitudes and in the tropics, side by side, in every space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lara.figures import style
from lara.figures.background_error import single_observation
from lara.stages.reading import read_dataset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "figures"
KEPT_AS = "nc"
CAPTION = (
    "One Z500 datum over China, over Australia and in the tropics: in mid-latitudes wind should circle the height "
    "increment, and the layer below it be warm."
)
NEEDS = "single_observations on a pressure level"
ATTRIBUTES = ("site", "site_latitude", "site_longitude", "channel", "departure", "time")


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Increments of every case."""
    return [layout.increments(name) for name in single_observation.cases(config)]


def gather(run: Run) -> xr.Dataset:
    """The fields of every case (case, …), each of their attributes as `case_<attribute>` (case)."""
    import xarray as xr

    cases = single_observation.cases(run.config)
    fields = [read_dataset(run.layout.increments(name)) for name in cases]
    joined = xr.concat(fields, pd.Index(cases, name="case"), combine_attrs="drop")
    return joined.assign({f"case_{key}": ("case", [one.attrs[key] for one in fields]) for key in ATTRIBUTES})


def draw(kept: xr.Dataset) -> Figure:
    """Per case and space a column: z and wind increments, t increment on the background wind, vertical section.

    Each case has colours of its own.
    """
    cases, spaces = [_case(kept.isel(case=i, drop=True)) for i in range(kept.sizes["case"])], kept.sizes["space"]
    figure = style.figure(3.9 * spaces * len(cases), 9.6)
    for part, fields in zip(figure.subfigures(1, len(cases), squeeze=False).ravel(), cases, strict=True):
        observed = style.channel(fields.attrs["channel"])
        grid = part.subplots(3, spaces, squeeze=False)
        single_observation.fill(grid, fields)
        for axes in grid.ravel():
            axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=6.5)
        departure = style.number(style.factor(observed.variable) * fields.attrs["departure"])
        part.suptitle(
            f"{fields.attrs['site']}: {style.title(observed.name)} {departure} {style.unit(observed.variable)} "
            f"from the background of {fields.attrs['time'][:16]} UTC (n = 1)",
            fontsize=9,
        )
    return figure


def _case(one: xr.Dataset) -> xr.Dataset:
    """The fields of one case as `single_observation.draw` takes them."""
    return one[["increment", "background"]].assign_attrs({key: one[f"case_{key}"].item() for key in ATTRIBUTES})
