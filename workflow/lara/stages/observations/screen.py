"""Screening: observations of a dataset with the flags of the checks before any assimilation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from lara.observations import screening
from lara.observations import table as tables
from lara.observations.batches import from_table
from lara.observations.flags import Flag
from lara.observations.thinning import Thinning
from lara.stages.observations.stretches import slots_of, stretches
from lara.stages.states import RunWithStates


def write_screened(run: RunWithStates, label: str) -> str:
    """Write the screened table of a month "dataset/2001-01"; how many observations each check is against."""
    counts: Counter[int] = Counter()
    dataset, month, _ = slots_of(run, label)

    def counted() -> Iterator[pd.DataFrame]:
        for part in screen_observations(run, label):
            counts.update(part["PreQC"].tolist())
            yield part

    tables.write(counted(), run.layout.screened(dataset, month))
    return "\n".join(f"{count} data: {Flag(flag).reason}" for flag, count in counts.most_common())


def screen_observations(run: RunWithStates, label: str) -> Iterator[pd.DataFrame]:
    """Observations of a month with what the checks before any assimilation have against each, some days at a time.

    Stretches end between two slots, so that what is compared with each other is in one of them.
    """
    dataset, month, slots = slots_of(run, label)
    settings, path, half = run.config.quality_control, run.layout.observations(dataset, month), run.step // 2
    blacklist = () if settings.blacklist is None else screening.read_blacklist(settings.blacklist)
    thinning = None
    if settings.thinning != "none":
        thinning = Thinning(settings.thinning, settings.thinning_degrees, run.step)
    for times in stretches(slots):
        table = tables.read(path, times[0] - half, times[-1] + half)
        climate = None if settings.gross_check is None else _climate(run, table, settings.gross_check)
        yield screening.screen(table, blacklist, climate, thinning)


def _climate(run: RunWithStates, table: pd.DataFrame, threshold: float) -> screening.Climate:
    """Climatological mean at the place and time of every row, and the std of its channel."""
    times = np.unique(table[tables.TIME].to_numpy())
    spacing = np.diff(times).min() if len(times) > 1 else run.step
    h = from_table(table, run.grid, run.channels, times, min(spacing, run.step))
    fields = torch.from_numpy(run.statistics.climatology_at(times)).double()
    std = torch.from_numpy(run.statistics.std).double().expand(len(times), -1)
    return screening.Climate(h.hofx(fields[None])[0].numpy(), h.spread(std)[0].numpy(), threshold)
