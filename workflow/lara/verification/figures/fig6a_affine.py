"""Does the decoder add the responses to two latent differences as if it were affine?"""

import xarray as xr
from matplotlib.figure import Figure

from lara.verification.figures import maps, style

TITLES = {
    "first": "D(z + Δz₁) − D(z)",
    "second": "D(z + Δz₂) − D(z)",
    "sum": "sum of both",
    "response to the sum": "D(z + Δz₁ + Δz₂) − D(z)",
}


@style.styled
def draw(fields: xr.Dataset, land: xr.DataArray | None = None) -> Figure:
    """`response` (part, latitude, longitude), SI, of the channel in attrs; attrs also: times, correlation, error."""
    channel = fields.attrs["channel"]
    variable = style.channel(channel).variable
    shown = fields["response"] * style.factor(variable)
    reach = float(abs(shown).max())
    figure, panels = style.panels(4, width=4.6, height=2.6, columns=2)
    for axes, (part, title) in zip(panels, TITLES.items(), strict=True):
        mesh = maps.fill(axes, shown.sel(part=part), -reach, reach, "RdBu_r")
        maps.coast(axes, land)
        axes.set_title(title)
    figure.colorbar(mesh, ax=panels, label=f"{style.title(channel)} ({style.unit(variable)})", shrink=0.8)
    middle, first, last = fields.attrs["times"]
    figure.suptitle(
        f"z of {middle}, Δz to {first} and {last} UTC: correlation of the lower two "
        f"{fields.attrs['correlation']:.4f}, relative error {fields.attrs['error']:.3f} (n = 1)",
        fontsize=9,
    )
    return figure
