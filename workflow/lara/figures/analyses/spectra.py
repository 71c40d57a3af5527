"""Power spectra of the analyses relative to the truth, and coherence with it: ratio = ⟨|a|²⟩/⟨|t|²⟩."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    "Power by wavenumber over the truth's, and coherence with the truth. A ratio below the reconstruction's is "
    "smoothing by the assimilation, above 1 noise; where coherence is low, power sits in the wrong place."
)


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Structures of the controls and of the default suite."""
    return [layout.structure(source) for source in ("truth", "reconstruction", *config.suite("reanalysis"))]


def gather(run: Run) -> xr.Dataset:
    """`ratio` and `coherence` (source, channel, wavenumber) of the headline channels; attrs: n times."""
    from lara.figures import gathering
    from lara.verification import spectra

    fields = gathering.by_source(run, gathering.finished(run, spectra)).sel(
        channel=list(run.config.verification.headline)
    )
    return fields[["ratio", "coherence"]]


def draw(fields: xr.Dataset) -> Figure:
    """`ratio` (top) and `coherence` (bottom) by total wavenumber (source, channel, wavenumber); attrs: n times.

    Source `truth` is 1 in both, `reconstruction` the floor.
    """
    names = [str(name) for name in fields["channel"].values]
    figure = style.figure(3.8 * len(names), 5.6)
    grid = figure.subplots(2, len(names), squeeze=False, sharex=True, sharey="row")
    for column, name in zip(grid.T, names, strict=True):
        for axes, key in zip(column, ("ratio", "coherence"), strict=True):
            for source in fields["source"].values:
                one = fields[key].sel(source=source, channel=name).isel(wavenumber=slice(1, None))
                axes.plot(one["wavenumber"], one, **style.line(str(source)))
        column[0].set(title=style.title(name), yscale="log")
        column[1].set(xlabel="total wavenumber n (1)", ylim=(None, 1.02))
    grid[0, 0].set_ylabel("power / power of the truth (1)")
    grid[1, 0].set_ylabel("coherence with the truth (1)")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(f"n = {fields.attrs['n']} times after the spin-up", fontsize=9)
    return figure
