"""Do global mass, moisture and energy stay where the truth has them, without drift or jumps?"""

import xarray as xr
from matplotlib import dates
from matplotlib.figure import Figure

from lara.verification.figures import style

UNITS = {"mass": (1e-2, "hPa"), "moisture": (1.0, "kg m⁻²"), "energy": (1e-6, "MJ m⁻²")}


@style.styled
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
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12), fontsize=7)
    figure.suptitle(
        f"n = {fields.attrs['n']} times after the spin-up; drift ± its standard error; jumps: rms increment of the "
        "global mean over the rms of its true 6 h change",
        fontsize=9,
    )
    return figure
