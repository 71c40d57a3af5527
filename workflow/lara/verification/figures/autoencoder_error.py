"""Is the autoencoder's error small against the change of a day, and below that of the PCA it started from?"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lara.verification.figures import style


@style.styled
def draw(errors: xr.Dataset, target: float) -> Figure:
    """Reconstruction RMSE / std of 24 h changes (1): `errors` holds `autoencoder` and `pca` (channel).

    `errors.attrs`: `n` states, `compression`. `target` is to be met by the rms over the channels of z, t, u
    and v.
    """
    names = list(errors["channel"].values)
    figure, (axes,) = style.panels(1, width=max(6.0, 0.19 * len(names)), height=3.4)
    dynamical = [style.channel(name).variable in ("z", "t", "u", "v") for name in names]
    groups = style.channel_axis(axes, names)
    for source, colour, marker in (("pca", style.GREEN, "s"), ("autoencoder", style.RED, "o")):
        values = errors[source].values
        rms = np.sqrt(np.mean(values[dynamical] ** 2))
        for i, group in enumerate(groups):
            label = f"{source}: {rms:.3f} (z, t, u, v)" if i == 0 else None
            axes.plot(group, values[group], marker=marker, markersize=4, color=colour, label=label)
    axes.axhline(target, color=style.BLACK, linestyle="--", linewidth=1, label=f"target {target:g} (rms of z, t, u, v)")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("reconstruction RMSE /\nstd of 24 h changes (1)")
    axes.set_title(f"{errors.attrs['compression']:.3g}x compression, n = {errors.attrs['n']} held-out states")
    axes.legend()
    return figure
