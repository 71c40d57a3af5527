"""How do accuracy and speed compare with other packages on problems with a known answer?"""

import pandas as pd
from matplotlib.figure import Figure

from lara.verification.figures import style

COLOURS = {"lara": style.RED, "adao": style.BLUE, "dapper": style.SKY}
MARKERS = "osD^vP*X"


@style.styled
def draw_linear_gaussian(table: pd.DataFrame, goal: float) -> Figure:
    """Relative error against wall time, a panel per problem and size.

    Columns problem, n, observations, package, method, error (1), seconds (s). `goal` is the error asked for.
    """
    groups, markers = list(table.groupby(["problem", "n"], sort=False)), _markers(table)
    figure, panels = style.panels(len(groups), width=3.2, height=2.8, columns=len(groups) // 2 or 1)
    for axes, ((problem, n), rows) in zip(panels, groups, strict=True):
        for package, method, seconds, error in rows[["package", "method", "seconds", "error"]].itertuples(index=False):
            shown = {"color": COLOURS[package], "marker": markers[package, method], "linestyle": "none"}
            axes.loglog(seconds, error, label=f"{package}: {method}", markersize=7, **shown)
        axes.axhline(goal, color=style.GREY, linestyle="--", linewidth=1)
        axes.set(title=f"{problem}, n = {n}, p = {rows['observations'].iloc[0]}", xlabel="wall time (s)")
        axes.set(ylabel="error / increment (1)", xlim=_range(table["seconds"]), ylim=_range(table["error"]))
    labelled = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(labelled.values(), labelled.keys(), loc="outside lower center", ncols=3)
    return figure


@style.styled
def draw_lorenz96(table: pd.DataFrame) -> Figure:
    """RMSE of filter and smoother estimates as bars, and processor time.

    Columns package, method, filter_rmse, smoother_rmse, stated_rmse (1), processor_seconds (s), times.
    """
    rows = table.sort_values("filter_rmse", ascending=False).reset_index(drop=True)
    figure, (skill, cost) = style.panels(2, width=5.2, height=1.2 + 0.26 * len(rows))
    colours = [COLOURS[package] for package in rows["package"]]
    skill.barh(rows.index, rows["filter_rmse"], color=colours, alpha=0.6)
    skill.plot(rows["smoother_rmse"], rows.index, "D", color=style.BLACK, markersize=4, label="smoother")
    skill.plot(rows["stated_rmse"], rows.index, "|", color=style.BLACK, markersize=14, label="stated by its authors")
    skill.set(xlabel="analysis RMSE (σ_o)", title=f"Lorenz-96, n = {rows['times'].max()} times; bars: filter")
    skill.legend(loc="upper right")
    cost.barh(rows.index, rows["processor_seconds"], color=colours, alpha=0.6)
    cost.set(xlabel="processor time (s)", title="cost of the whole stretch")
    for axes in (skill, cost):
        axes.set_yticks(rows.index, [f"{p}: {m}" for p, m in zip(rows["package"], rows["method"], strict=True)])
    cost.set_yticks(rows.index, [])
    return figure


def _markers(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    """One marker per method of a package, the same in every panel."""
    methods = table[["package", "method"]].drop_duplicates()
    position = methods.groupby("package").cumcount()
    return {
        (package, method): MARKERS[i % len(MARKERS)]
        for (package, method), i in zip(methods.itertuples(index=False), position, strict=True)
    }


def _range(values: pd.Series) -> tuple[float, float]:
    """Limits of a logarithmic axis around all values."""
    return 0.5 * values.min(), 2.0 * values.max()
