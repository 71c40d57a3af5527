"""The figure of the sweep of latent sizes, from the suite `sizes`: each autoencoder with its B and its analyses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from lara.experiment.saving import keep_table
from lara.stages.covariance import background_error
from lara.stages.experiments import evaluation_begin
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run
from lara.stages.verification.comparison import block_length
from lara.verification import scores
from lara.verification.correlation import mean_off_diagonal
from lara.verification.figures import fig7_latent_size
from lara.verification.significance import rmse_interval

DYNAMICAL = ("z", "t", "u", "v")


def draw_sizes(run: Run) -> Figure:
    """Reconstruction error, diagonality of B_z and analysis error against latent size."""
    return fig7_latent_size.draw(keep_table(run, "fig7_latent_size", size_table(run)))


def size_table(run: Run) -> pd.DataFrame:
    """A row per experiment of the suite `sizes`.

    Columns: autoencoder, kind, compression, error (rms of z, t, u, v over their 24 h change), off_diagonal (mean
    absolute correlation of latent channels), neighbour (mean correlation of patches side by side), channel, rmse, low,
    high (analysis, first headline channel, SI), n.
    """
    return pd.DataFrame([_row(run, name) for name in run.config.suite("sizes")])


def _row(run: Run, name: str) -> dict[str, object]:
    space, channel = run.config.experiments[name].space, run.config.verification.headline[0]
    errors, b = xr.load_dataset(run.layout.errors(space)), background_error.load(run, space)
    chosen = [c.name for c in run.channels.channels if c.variable in DYNAMICAL]
    ratio = (errors["rmse"] / errors["change_std"]).sel(channel=chosen)
    sums = xr.load_dataset(run.layout.scores(name)).sel(kind="analysis", region="globe", channel=[channel], drop=True)
    squares = (scores.finish(sums)["rmse"] ** 2).sel(time=slice(evaluation_begin(run, name), None))
    block = block_length(squares.sizes["time"], run.config.step_hours)
    interval = rmse_interval(squares, block, run.generator("bootstrap"), "time").isel(channel=0)
    return {
        "autoencoder": space,
        "kind": run.config.autoencoders[space].kind,
        "compression": float(errors.attrs["compression"]),
        "error": float(np.sqrt((ratio**2).mean())),
        "off_diagonal": mean_off_diagonal(b["channel_correlation"]),
        "neighbour": float(np.mean(b["neighbour_correlation"])),
        "channel": channel,
        **{key: float(interval[key]) for key in ("rmse", "low", "high")},
        "n": squares.sizes["time"],
    }


FIGURES: dict[str, Callable[[RunWithNetworks], Figure]] = {"fig7_latent_size": draw_sizes}
