"""Did every minimisation lower J, was 2 J_min / p near 1 (errors as assumed), and what did it cost?"""

import pandas as pd
from matplotlib import dates
from matplotlib.figure import Figure

from lara.verification.figures import style


@style.styled
def draw(cycles: pd.DataFrame, accepted: tuple[float, float] = (0.7, 1.4)) -> Figure:
    """Over the cycles: columns time, jb_start, jo_start, jb_end, jo_end (1), evaluations, two_j_over_p (1).

    `accepted` is the range that the mean of 2 J_min / p should fall in.
    """
    figure, (cost, consistency, work) = style.panels(3, width=4.0, height=3.0)
    cost.plot(cycles["time"], cycles["jb_start"] + cycles["jo_start"], color=style.BLACK, label="J at the start")
    cost.plot(cycles["time"], cycles["jo_end"], color=style.BLUE, label="J_o at the end")
    cost.plot(cycles["time"], cycles["jb_end"], color=style.RED, label="J_b at the end")
    cost.set(yscale="log", ylabel="cost (1)", title=f"cost, n = {len(cycles)} cycles")
    cost.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
    mean = cycles["two_j_over_p"].mean()
    consistency.plot(cycles["time"], cycles["two_j_over_p"], color=style.PURPLE, label=f"mean {mean:.2f}")
    consistency.axhspan(*accepted, color=style.GREEN, alpha=0.12, label=f"accepted {accepted[0]:g}–{accepted[1]:g}")
    consistency.axhline(1.0, color=style.GREY, linestyle="--", linewidth=1)
    consistency.set(ylabel="2 J_min / p (1)", title="consistency", ylim=(0, None))
    consistency.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
    work.plot(cycles["time"], cycles["evaluations"], ".", color=style.BLUE)
    work.set(
        ylabel="evaluations of J and its gradient",
        title=f"work, mean {cycles['evaluations'].mean():.1f}",
        ylim=(0, None),
    )
    for axes in (cost, consistency, work):
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    return figure
