"""Global mass, moisture and energy of the analyses less the truth's, with their drift and jumps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lara.figures import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "figures"
KEPT_AS = "nc"
CAPTION = (
    "Global mass, moisture and energy of analyses less the truth's: drift per day with its standard error, and "
    "increments of the global mean in units of its true 6 h change."
)
UNITS = {"mass": (1e-2, "hPa"), "moisture": (1.0, "kg m⁻²"), "energy": (1e-6, "MJ m⁻²")}


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Structures of the controls and of the default suite."""
    return [layout.structure(source) for source in ("truth", "reconstruction", *config.suite("reanalysis"))]


def gather(run: Run) -> xr.Dataset:
    """`error` (source, quantity, time), SI; `drift` ± `spread` per day and `jump` (source, quantity); attrs: n."""
    import xarray as xr

    from lara.figures import gathering

    found = {name: one["budget"] for name, one in gathering.structures(run).items()}
    errors = [budget.sel(kind="analysis", drop=True) - budget.sel(kind="truth", drop=True) for budget in found.values()]
    rows = [row for (name, one), error in zip(found.items(), errors, strict=True) for row in _rows(name, one, error)]
    table = pd.DataFrame(rows).set_index(["source", "quantity"]).to_xarray()
    fields = table.assign(error=xr.concat(errors, pd.Index(list(found), name="source"))).sel(source=list(found))
    return fields.assign_attrs(n=gathering.count(run))


def _rows(source: str, budget: xr.DataArray, error: xr.DataArray) -> list[dict[str, Any]]:
    """Drift and jumps of each quantity of a source."""
    from lara.verification import physics

    rows = []
    for quantity in budget["quantity"].values:
        own = budget.sel(quantity=quantity)
        slope, spread = physics.drift(error.sel(quantity=quantity))
        jump = physics.jumps(*(own.sel(kind=kind) for kind in ("analysis", "background", "truth")))
        rows.append({"source": source, "quantity": str(quantity), "drift": slope, "spread": spread, "jump": jump})
    return rows


def draw(fields: xr.Dataset) -> Figure:
    """`error` (source, quantity, time), SI; the legend has `drift` ± `spread` per day and `jump`; attrs: n."""
    names = [str(name) for name in fields["quantity"].values]
    figure, panels = style.panels(len(names), width=4.9, height=4.2)
    for axes, name in zip(panels, names, strict=True):
        factor, unit = UNITS[name]
        for source in fields["source"].values:
            one = fields.sel(source=source, quantity=name)
            slope, spread = (style.number(factor * float(one[key])) for key in ("drift", "spread"))
            text = f"{source}: {slope} ± {spread} d⁻¹, jumps {style.number(float(one['jump']))}"
            axes.plot(one["time"], factor * one["error"], **{**style.line(str(source)), "label": text})
        axes.axhline(0.0, color=style.GREY, linewidth=0.8)
        axes.set(title=name, ylabel=f"global mean less the truth's ({unit})")
        style.date_axis(axes)
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12), fontsize=7)
    figure.suptitle(
        f"n = {fields.attrs['n']} times after the spin-up; drift ± its standard error; jumps: rms increment of the "
        "global mean over the rms of its true 6 h change",
        fontsize=9,
    )
    return figure
