"""Range of amplitudes k over which the decoder acts as if it were affine: r(k) = D(z + kΔz) − D(z) against k r(1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lara.figures import style
from lara.stages.reading import read_dataset

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
    "Correlation and size of the decoder's response to a latent difference scaled by k, against k times that for k = "
    "1. Where both are 1, latent assimilation equals that in model space."
)
LEAST = 0.9


def inputs(config: Config, layout: Layout) -> list[Path]:
    """What the decoder makes of latent states."""
    return [layout.latent_space("fig6b_linear_range")]


def gather(run: Run) -> xr.Dataset:
    """`correlation`, `ratio` (pair, sign, factor, channel; 1); `low`, `high` (sign); attrs: n pairs."""
    return read_dataset(run.layout.latent_space("fig6b_linear_range"))


def draw(fields: xr.Dataset) -> Figure:
    """`correlation` and `ratio` (pair, sign, factor, channel) against |k|; `low`, `high` (sign); attrs: n pairs."""
    figure, (correlation, ratio) = style.panels(2, width=4.8, height=3.5)
    for axes, key in ((correlation, "correlation"), (ratio, "ratio")):
        _lines(axes, fields, key)
        axes.set(xscale="log", xlabel="|k| (1)")
        axes.set_xlim(float(fields["factor"].min()), float(fields["factor"].max()))
    correlation.axhline(LEAST, color=style.GREY, linestyle="--", linewidth=1, label=f"{LEAST:g}")
    correlation.set(ylabel="correlation of r(k) with k r(1) (1)", ylim=(min(0.85, correlation.get_ylim()[0]), 1.005))
    ratio.axhline(1.0, color=style.GREY, linestyle="--", linewidth=1, label="affine")
    ratio.set(ylabel="‖r(k)‖₁ / ‖k r(1)‖₁ (1)")
    for axes in (correlation, ratio):
        axes.legend(loc="lower left")
    ranges = ", ".join(
        f"{'k > 0' if sign > 0 else 'k < 0'}: {_end(fields, sign)}" for sign in fields["sign"].values.tolist()
    )
    figure.suptitle(
        f"r(k) = D(z + kΔz) − D(z), n = {fields.attrs['n']} pairs, all channels; shading: 80 % of them\n"
        f"|k| with mean correlation ≥ {LEAST:g}: {ranges}",
        fontsize=9,
    )
    return figure


def _end(fields: xr.Dataset, sign: int) -> str:
    low, high = (float(fields[name].sel(sign=sign)) for name in ("low", "high"))
    edge = " and beyond" if high == float(fields["factor"].max()) else ""
    return f"{style.number(low)}–{style.number(high)}{edge}"


def _lines(axes: Axes, fields: xr.Dataset, key: str) -> None:
    for sign, colour in ((1, style.BLUE), (-1, style.RED)):
        one = fields[key].sel(sign=sign).transpose("factor", ...).values.reshape(fields.sizes["factor"], -1)
        low, high = np.quantile(one, [0.1, 0.9], axis=1)
        label = "k > 0" if sign > 0 else "k < 0"
        axes.plot(fields["factor"], one.mean(axis=1), "o-", markersize=3, color=colour, label=label)
        axes.fill_between(fields["factor"], low, high, color=colour, alpha=0.12, linewidth=0)
