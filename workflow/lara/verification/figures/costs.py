"""Where did the time and the memory of the run go?"""

import pandas as pd
from matplotlib.figure import Figure

from lara.verification.figures import style


@style.styled
def draw(table: pd.DataFrame) -> Figure:
    """One bar per job: columns job, wall_s and processor_s (s), peak_mib (MiB)."""
    rows = table.sort_values("wall_s").reset_index(drop=True)
    figure, (time, memory) = style.panels(2, width=4.6, height=0.6 + 0.17 * len(rows))
    time.barh(rows.index, rows["processor_s"] / 60, color="0.8", label="processor time")
    time.barh(rows.index, rows["wall_s"] / 60, height=0.35, color=style.BLUE, label="wall time")
    time.set(xlabel="minutes", title=f"{rows['wall_s'].sum() / 60:.1f} job minutes in {len(rows)} jobs")
    time.set_yticks(rows.index, rows["job"], fontsize=6)
    time.legend(loc="lower right")
    memory.barh(rows.index, rows["peak_mib"] / 1024, color=style.ORANGE)
    memory.set(xlabel="peak memory (GiB)", title="memory")
    memory.set_yticks(rows.index, [])
    return figure
