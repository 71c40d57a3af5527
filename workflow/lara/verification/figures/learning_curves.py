"""Has training converged, and is held-out loss still falling where training loss is?"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lara.verification.figures import style


@style.styled
def draw(curves: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """One panel per network: {name: (train with step, loss, learning_rate; validation with step, loss)}."""
    figure, panels = style.panels(len(curves), width=4.6, height=3.2)
    for axes, (name, (train, validation)) in zip(panels, curves.items(), strict=True):
        _panel(axes, train, validation)
        axes.set_title(name)
    return figure


def _panel(axes: Axes, train: pd.DataFrame, validation: pd.DataFrame) -> None:
    axes.plot(train["step"], train["loss"], color="0.8", linewidth=0.7, label="training, each step")
    window = max(1, len(train) // 50)
    smooth = train["loss"].rolling(window, min_periods=1).mean()
    axes.plot(train["step"], smooth, color=style.BLUE, label=f"training, mean of {window}")
    axes.plot(validation["step"], validation["loss"], "o-", color=style.RED, markersize=4, label="held-out states")
    last = validation.iloc[-1]
    axes.annotate(f"{last['loss']:.3g}", (last["step"], last["loss"]), (0, 6), textcoords="offset points", ha="right")
    axes.set(yscale="log", xlabel="optimiser step", ylabel="loss (1)")
    axes.legend(loc="upper right")
    rate = axes.twinx()
    rate.plot(train["step"], train["learning_rate"], color=style.GREY, linestyle=":")
    rate.set_ylabel("learning rate (dotted)", color=style.GREY)
    rate.grid(visible=False)
    rate.set_ylim(bottom=0)
