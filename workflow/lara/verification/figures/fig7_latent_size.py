"""How large should the latent space be, and does the nonlinear one deserve its training at every size?"""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lara.verification.figures import style

LOOKS = {"transformer": (style.RED, "o", "autoencoder"), "pca": (style.GREEN, "s", "PCA of the same size")}


@style.styled
def draw(table: pd.DataFrame) -> Figure:
    """Against compression: `error`, `off_diagonal` and `neighbour` correlation, `rmse` with `low` and `high`.

    Columns as `experiment.drawing_sizes.size_table` says, one channel in all rows; a line per kind.
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
