"""Does one observation change all variables as the atmosphere would, in mid-latitudes and in the tropics?"""

from collections.abc import Sequence

import xarray as xr
from matplotlib.figure import Figure

from lara.verification.figures import single_observation, style


@style.styled
def draw(cases: Sequence[xr.Dataset], land: xr.DataArray | None = None) -> Figure:
    """Per case and space a column: z and wind increments, t increment on the background wind, vertical section.

    `cases` are as `single_observation.draw` takes them; each has colours of its own. ValueError without any.
    """
    if not cases:
        raise ValueError("no single observation is configured on a pressure level: add some to single_observations")
    spaces = cases[0].sizes["space"]
    figure = Figure(figsize=(3.9 * spaces * len(cases), 9.6), layout="constrained")
    for part, fields in zip(figure.subfigures(1, len(cases), squeeze=False).ravel(), cases, strict=True):
        observed = style.channel(fields.attrs["channel"])
        grid = part.subplots(3, spaces, squeeze=False)
        single_observation.case(grid, fields, land)
        for axes in grid.ravel():
            axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=6.5)
        departure = style.number(style.factor(observed.variable) * fields.attrs["departure"])
        part.suptitle(
            f"{fields.attrs['site']}: {style.title(observed.name)} {departure} {style.unit(observed.variable)} "
            f"from the background of {fields.attrs['time'][:16]} UTC",
            fontsize=9,
        )
    return figure
