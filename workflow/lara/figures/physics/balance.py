"""Balance of increments, divergent kinetic energy, and the noise of the first forecast steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lara.figures import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "figures"
KEPT_AS = "nc"
CAPTION = (
    "Imbalance of increments beside that of perfect ones (truth), divergent kinetic energy, and pressure changes in "
    "the first forecast steps, which a shock would raise above those from the truth."
)


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Structures of the controls and of the default suite."""
    return [layout.structure(source) for source in ("truth", "reconstruction", *config.suite("reanalysis"))]


def gather(run: Run) -> xr.Dataset:
    """Imbalances by `balance.finish`, `kinetic_energy` and `tendency` where measured (source, …); attrs: n."""
    from lara.figures import gathering
    from lara.verification import balance

    found = gathering.finished(run, balance)
    for name, one in gathering.structures(run).items():
        others = [key for key in ("kinetic_energy", "tendency") if key in one]
        found[name] = found[name].merge(one[others])
    return gathering.by_source(run, found)


def draw(fields: xr.Dataset) -> Figure:
    """Panels of what `fields` hold (source, …); attrs: n times.

    `geostrophic` (level) and `hydrostatic` (layer) imbalance (1), `kinetic_energy` (part, wavenumber; m² s⁻²) and
    `tendency` (step; Pa). Source `truth` stands for perfect increments and starts, `reconstruction` for the floor.
    """
    shown = [name for name in ("geostrophic", "hydrostatic", "kinetic_energy", "tendency") if name in fields]
    figure, panels = style.panels(len(shown), width=3.5, height=3.6)
    for axes, name in zip(panels, shown, strict=True):
        for source in fields["source"].values:
            PANELS[name](axes, fields[name].sel(source=source), str(source))
        if PANELS[name] is _profile:
            axes.set_xlim(left=0)  # once all lines are there: it ends the scaling of the axis
    named = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=len(named))
    figure.suptitle(f"n = {fields.attrs['n']} times after the spin-up", fontsize=9)
    return figure


def _profile(axes: Axes, values: xr.DataArray, source: str) -> None:
    coordinate = str(values.dims[0])
    held = values.dropna(coordinate)
    if held.size:
        axes.plot(held, held[coordinate], marker="o", markersize=3, **style.line(source))
    style.pressure_axis(axes, values[coordinate].values.tolist())
    axes.set_xlabel("imbalance of increments (1)")
    axes.set_title("geostrophic, 30°–70°" if coordinate == "level" else "hydrostatic, layers above")


def _divergence(axes: Axes, values: xr.DataArray, source: str) -> None:
    one = values.sel(part="divergent").isel(wavenumber=slice(1, None))
    axes.plot(one["wavenumber"], one, **style.line(source))
    axes.set(yscale="log", xlabel="total wavenumber n (1)", ylabel="divergent kinetic energy (m² s⁻²)")
    axes.set_title("divergence spectrum")


def _tendency(axes: Axes, values: xr.DataArray, source: str) -> None:
    axes.plot(values["step"], values / 100, marker="o", markersize=3, **style.line(source))
    axes.set(xlabel="forecast step (1)", ylabel="rms change of pressure (hPa)", title="first forecast steps")
    axes.set_xticks(values["step"].values)


PANELS = {"geostrophic": _profile, "hydrostatic": _profile, "kinetic_energy": _divergence, "tendency": _tendency}
