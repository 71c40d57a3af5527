"""What does an analysis cost, method by method?"""

import pandas as pd
from matplotlib.figure import Figure

from lara.verification.figures import style

HEADINGS = {
    "experiment": "experiment",
    "method": "method",
    "slots": "slots",
    "windows": "windows (n)",
    "evaluations": "gradients of J\nper analysis",
    "seconds": "seconds\nper analysis",
    "seconds_per_slot": "seconds\nper slot",
    "peak_memory_mb": "peak memory\nof the job (MB)",
}


@style.styled
def draw(table: pd.DataFrame) -> Figure:
    """A row per experiment: HEADINGS' columns; evaluations and seconds are medians over windows."""
    shown = table[list(HEADINGS)].astype(object)
    cells = [[_text(value) for value in row] for row in shown.itertuples(index=False)]
    figure = Figure(figsize=(10.5, 0.9 + 0.3 * len(cells)), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    drawn = axes.table(cells, colLabels=list(HEADINGS.values()), loc="center", cellLoc="right", edges="horizontal")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8)
    drawn.auto_set_column_width(list(range(len(HEADINGS))))
    drawn.scale(1.0, 1.35)
    for column in range(len(HEADINGS)):
        drawn[0, column].set_height(1.7 * drawn[0, column].get_height())
    axes.set_title("medians over the windows after the spin-up", fontsize=9)
    return figure


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
