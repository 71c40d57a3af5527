"""Fields that contradict all others, passed through the autoencoder: truth, input and output on maps."""

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
CAPTION = (
    "Z500 and Q500 replaced by their global means and passed through the autoencoder: what balance with the other "
    "fields restores."
)
KINDS = {"truth": "truth", "input": "input: global mean", "output": "output D(E(input))"}


def inputs(config: Config, layout: Layout) -> list[Path]:
    """What the decoder makes of latent states."""
    return [layout.latent_space("fig5b_imbalanced_input")]


def gather(run: Run) -> xr.Dataset:
    """`fields` (kind, channel, latitude, longitude), SI; `restored` (channel; 1); attrs: time."""
    return read_dataset(run.layout.latent_space("fig5b_imbalanced_input"))


def draw(fields: xr.Dataset) -> Figure:
    """A row per replaced channel: truth, input and output (`fields` (kind, channel, latitude, longitude), SI).

    `restored` (channel) is the share of the input's error that the output has not; `fields.attrs`: time.
    """
    names = [str(name) for name in fields["channel"].values]
    figure, panels = style.panels(3 * len(names), width=4.0, height=2.4, columns=3)
    for row, name in enumerate(names):
        factor, unit = style.factor(style.channel(name).variable), style.unit(style.channel(name).variable)
        shown = fields["fields"].sel(channel=name) * factor
        low, high = float(shown.sel(kind="truth").min()), float(shown.sel(kind="truth").max())
        for axes, (kind, title) in zip(panels[3 * row : 3 * row + 3], KINDS.items(), strict=True):
            mesh = maps.fill(axes, shown.sel(kind=kind), low, high)
            maps.coast(axes, maps.land(fields))
            axes.set_title(f"{style.title(name)}, {title}")
        restored = float(fields["restored"].sel(channel=name))
        axes.set_xlabel(f"{restored:.0%} of the input's RMSE removed")
        figure.colorbar(mesh, ax=panels[3 * row : 3 * row + 3], label=unit, shrink=0.8, pad=0.02)
    figure.suptitle(f"{fields.attrs['time']} UTC, all other fields untouched (n = 1)", fontsize=9)
    return figure
