"""Responses of the decoder to two latent differences and to their sum, which are equal where it is affine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lara.figures import maps, style
from lara.stages.reading import read_dataset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "figures"
KEPT_AS = "nc"
CAPTION = "Responses of the decoder to two latent differences and to their sum: the lower two agree where it is affine."
TITLES = {
    "first": "D(z + Δz₁) − D(z)",
    "second": "D(z + Δz₂) − D(z)",
    "sum": "sum of both",
    "response to the sum": "D(z + Δz₁ + Δz₂) − D(z)",
}


def inputs(config: Config, layout: Layout) -> list[Path]:
    """What the decoder makes of latent states."""
    return [layout.latent_space("fig6a_affine")]


def gather(run: Run) -> xr.Dataset:
    """`response` (part, latitude, longitude), SI; attrs: channel, times, correlation, error."""
    return read_dataset(run.layout.latent_space("fig6a_affine"))


def draw(fields: xr.Dataset) -> Figure:
    """`response` (part, latitude, longitude), SI, of the channel in attrs; attrs also: times, correlation, error."""
    channel = fields.attrs["channel"]
    variable = style.channel(channel).variable
    shown = fields["response"] * style.factor(variable)
    reach = float(abs(shown).max())
    figure, panels = style.panels(4, width=4.6, height=2.6, columns=2)
    for axes, (part, title) in zip(panels, TITLES.items(), strict=True):
        mesh = maps.fill(axes, shown.sel(part=part), -reach, reach, "RdBu_r")
        maps.coast(axes, maps.land(fields))
        axes.set_title(title)
    figure.colorbar(mesh, ax=panels, label=f"{style.title(channel)} ({style.unit(variable)})", shrink=0.8)
    middle, first, last = fields.attrs["times"]
    figure.suptitle(
        f"z of {middle}, Δz to {first} and {last} UTC: correlation of the lower two "
        f"{fields.attrs['correlation']:.4f}, relative error {fields.attrs['error']:.3f} (n = 1)",
        fontsize=9,
    )
    return figure
