"""Reconstruction error, diagonality of B_z and analysis error against the size of the latent space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lara.depends.inputs import Inputs
from lara.figures import style
from lara.stages.reading import read_dataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "fig7_latent_size"
KEPT_AS = "csv"
CAPTION = (
    "Reconstruction error, correlations in B_z and analysis error against compression, the PCA of the same size beside "
    "each, every size with its own tuned factors: what a smaller latent space loses, a B that is diagonal in fewer "
    "elements may give back."
)
NEEDS = "autoencoders of several sizes and experiments of the suite `sizes` that use them"
DYNAMICAL = ("z", "t", "u", "v")
LOOKS = {"transformer": (style.RED, "o", "autoencoder"), "pca": (style.GREEN, "s", "PCA of the same size")}


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Scores of the suite `sizes`, with the errors and B of each autoencoder."""
    return [path for name in config.suite("sizes") for path in Inputs(config, layout).size(name)]


def gather(run: Run) -> pd.DataFrame:
    """A row per experiment of the suite `sizes`.

    Columns: autoencoder, kind, compression, error (rms of z, t, u, v over their 24 h change), off_diagonal (mean
    absolute correlation of latent channels), neighbour (mean correlation of patches side by side), channel, rmse, low,
    high (analysis, first headline channel, SI), n.
    """
    return pd.DataFrame([_row(run, name) for name in run.config.suite("sizes")])


def _row(run: Run, name: str) -> dict[str, object]:

    from lara.stages.covariance import background_error
    from lara.verification.correlation import mean_off_diagonal

    space = run.config.experiments[name].space
    errors, b = read_dataset(run.layout.network_scores(space)), background_error.load(run, space)
    chosen = [c.name for c in run.channels.channels if c.variable in DYNAMICAL]
    ratio = (errors["rmse"] / errors["change_std"]).sel(channel=chosen)
    return {
        "autoencoder": space,
        "kind": run.config.autoencoders[space].kind,
        "compression": float(errors.attrs["compression"]),
        "error": float(np.sqrt((ratio**2).mean())),
        "off_diagonal": mean_off_diagonal(b["channel_correlation"]),
        "neighbour": float(np.mean(b["neighbour_correlation"])),
        **_analysis_error(run, name),
    }


def _analysis_error(run: Run, name: str) -> dict[str, object]:
    """RMSE of the analyses of an experiment after the spin-up, with its interval."""
    from lara.stages.experiments import evaluation_begin
    from lara.stages.verification.comparison import block_length
    from lara.verification import scores
    from lara.verification.significance import rmse_interval

    channel = run.config.verification.headline[0]
    sums = read_dataset(run.layout.scores(name)).sel(kind="analysis", region="globe", channel=[channel], drop=True)
    squares = (scores.finish(sums)["rmse"] ** 2).sel(time=slice(evaluation_begin(run, name), None))
    block = block_length(squares.sizes["time"], run.config.step_hours)
    interval = rmse_interval(squares, block, run.generator("bootstrap"), "time").isel(channel=0)
    found = {key: float(interval[key]) for key in ("rmse", "low", "high")}
    return {"channel": channel, **found, "n": squares.sizes["time"]}


def draw(table: pd.DataFrame) -> Figure:
    """Against compression: `error`, `off_diagonal` and `neighbour` correlation, `rmse` with `low` and `high`.

    One channel in all rows; a line per kind.
    """
    channel = table["channel"].iloc[0]
    variable = style.channel(channel).variable
    factor = style.factor(variable)
    figure, (error, diagonal, analysis) = style.panels(3, width=3.9, height=3.4)
    for kind, rows in table.sort_values("compression").groupby("kind", sort=False):
        colour, marker, label = LOOKS[str(kind)]
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4}
        error.plot(rows["compression"], rows["error"], label=label, **look)
        diagonal.plot(rows["compression"], rows["off_diagonal"], label=f"{label}: channels, mean |r|", **look)
        diagonal.plot(rows["compression"], rows["neighbour"], linestyle=":", label=f"{label}: neighbours", **look)
        analysis.plot(rows["compression"], factor * rows["rmse"], label=label, **look)
        analysis.fill_between(
            rows["compression"], factor * rows["low"], factor * rows["high"], color=colour, alpha=0.15, linewidth=0
        )
    error.set(ylabel="reconstruction RMSE / 24 h change (1)", title="z, t, u, v")
    diagonal.set(ylabel="correlation in B_z (1)", title="diagonality of B_z")
    analysis.set(ylabel=f"analysis RMSE ({style.unit(variable)})", title=f"L4DVar, {style.title(channel)}")
    sizes = sorted(table["compression"].unique())
    for axes in (error, diagonal, analysis):
        axes.set(xscale="log", xlabel="compression (×)")
        axes.set_xticks(sizes, [f"{size:.3g}" for size in sizes])
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=7)
    figure.suptitle(f"n = {table['n'].iloc[0]} times; shading: 95 % interval", fontsize=9)
    return figure
