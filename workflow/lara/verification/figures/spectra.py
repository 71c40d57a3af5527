"""Does an analysis keep the scales of the truth, or is its small error that of a smoother field?"""

import xarray as xr
from matplotlib.figure import Figure

from lara.verification.figures import style


@style.styled
def draw(fields: xr.Dataset) -> Figure:
    """`ratio` (top) and `coherence` (bottom) by total wavenumber (source, channel, wavenumber); attrs: n times.

    Source `truth` is 1 in both, `reconstruction` the floor.
    """
    names = [str(name) for name in fields["channel"].values]
    figure = Figure(figsize=(3.8 * len(names), 5.6), layout="constrained")
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
