"""Joins of streams: the later one's spin-up less what the earlier one published, and jumps of the analysis at the join.

The unit of a difference is the spread of the analyses where the archive has one, else the RMSE of the earlier stream's
analyses against the truth, over the same times. Chunks are read one after the other, a day at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from lara import store
from lara.stages import parallel
from lara.stages.experiments import all_windows
from lara.stages.reanalysis.streams import files_of
from lara.stages.run import Run, hours, time
from lara.stages.states import RunWithStates, states_of
from lara.store import StateStore
from lara.verification import seams

AROUND = 30  # days before and after a join whose changes are what that at the join is ranked among


@dataclass(frozen=True)
class Join:
    """The begin of a stream after another; `begin` of its cycling, `at` of its publication."""

    experiment: str
    stream: str
    begin: np.datetime64
    at: np.datetime64

    @property
    def label(self) -> str:
        """Experiment and time of the join."""
        return f"{self.experiment} {str(self.at)[:10]}"


def joins(run: Run, name: str) -> list[Join]:
    """Joins of an experiment's streams, in order."""
    later = run.config.production.later(name).items()
    return [Join(name, stream, time(one.first), time(one.begin)) for stream, one in later]


def measure_seams(run: RunWithStates) -> tuple[xr.Dataset, pd.DataFrame]:
    """Series around every join of the suite `production`, and what they come to, join by join and channel by channel.

    Series: `difference` (join, elapsed, channel) in units of `unit`, elapsed since the later stream's begin; `change`
    and `error_change` (join, offset, channel), SI, between consecutive analyses at begins of windows, offset from the
    join.
    """
    found = [join for name in run.config.suite("production") for join in joins(run, name)]
    if not found:
        return xr.Dataset(attrs={"n": 0}), pd.DataFrame(columns=["join"])
    parts = [_overlap(run, join).merge(_changes(run, join)) for join in found]
    labels = pd.Index([join.label for join in found], name="join")
    table = pd.concat([_judged(join, part) for join, part in zip(found, parts, strict=True)], ignore_index=True)
    return xr.concat(parts, labels, join="outer", combine_attrs="drop_conflicts"), table


def _overlap(run: RunWithStates, join: Join) -> xr.Dataset:
    """`difference` (elapsed, channel) of the two streams' analyses in units of `unit` (channel), SI; `of` names it."""
    early, truth = store.open_archive(run.layout.archive(join.experiment)), _truth(run, join)
    spread = run.config.experiments[join.experiment].has_spread
    squares, sizes, times = [], [], []
    for late, day in _spin_up(run, join):
        own = states_of(run, early.sel(time=day), "")
        known = states_of(run, early.sel(time=day), "_spread") if spread else own - truth.at(day)
        squares.append(_means(run, states_of(run, late.sel(time=day), "") - own))
        sizes.append(_means(run, known))
        times.append(day)
    coordinates = {"elapsed": np.concatenate(times) - join.begin, "channel": run.channels.names}
    square = xr.DataArray(np.concatenate(squares), coordinates, ("elapsed", "channel"))
    unit = square.copy(data=np.concatenate(sizes)).mean("elapsed") ** 0.5
    shown = {"difference": square**0.5 / unit, "unit": unit}
    of = "spread of the analyses" if spread else "RMSE of the earlier stream's analyses"
    return xr.Dataset(shown).sel(channel=list(run.config.verification.headline)).assign_attrs(of=of)


def _spin_up(run: Run, join: Join) -> Iterator[tuple[xr.Dataset, np.ndarray]]:
    """Archives of the chunks that a stream does not publish, day by day."""
    for chunk in run.config.production.chunks(join.experiment):
        if chunk.stream == join.stream and not chunk.published:
            with store.open_archive(files_of(run, join.experiment, chunk).archive) as archive:
                for day in parallel.days(archive["time"].values):
                    yield archive, day


def _changes(run: RunWithStates, join: Join) -> xr.Dataset:
    """`change`, `error_change` (offset, channel): rms change of analyses, and of their errors, into a window."""
    archive, truth, step = store.open_archive(run.layout.archive(join.experiment)), _truth(run, join), run.step
    begins = np.array([window.fresh[0] for window in all_windows(run, join.experiment)])
    near = begins[(np.abs(begins - join.at) <= hours(24 * AROUND)) & (begins > begins[0])]
    near = near[(near - join.at) % np.timedelta64(1, "D") == np.timedelta64(0)]
    rows = []
    for begin in near:
        pair = np.array([begin - step, begin])
        states = states_of(run, archive.sel(time=pair), "")
        rows.append([_means(run, np.diff(fields, axis=0))[0] ** 0.5 for fields in (states, states - truth.at(pair))])
    table = np.array(rows).reshape(len(near), 2, len(run.channels))
    fields = {name: (("offset", "channel"), table[:, i]) for i, name in enumerate(("change", "error_change"))}
    found = xr.Dataset(fields, {"offset": near - join.at, "channel": run.channels.names})
    return found.sel(channel=list(run.config.verification.headline))


def _judged(join: Join, found: xr.Dataset) -> pd.DataFrame:
    """A row per channel."""
    rows = []
    for channel in found["channel"].values:
        one = found.sel(channel=channel)
        difference = one["difference"].dropna("elapsed")
        elapsed = difference["elapsed"].values / np.timedelta64(1, "D")
        row = {"join": join.label, "channel": str(channel), "unit": float(one["unit"]), "of": found.attrs["of"]}
        row |= {"overlap_times": len(elapsed), **seams.agreement(difference.values, elapsed)._asdict()}
        for name in ("change", "error_change"):
            series = one[name].dropna("offset")
            here = float(series.sel(offset=np.timedelta64(0, "ns")))
            elsewhere = series.drop_sel(offset=np.timedelta64(0, "ns")).values
            row |= {f"{name}_at_join": here, f"{name}_median": float(np.median(elsewhere))}
            row |= {f"{name}_p": seams.share_as_large(here, elsewhere), "elsewhere": len(elsewhere)}
        rows.append(row)
    return pd.DataFrame(rows)


def _truth(run: RunWithStates, join: Join) -> StateStore:
    return run.store(run.config.experiments[join.experiment].dataset)


def _means(run: Run, fields: np.ndarray) -> np.ndarray:
    """Area means of squares (time, channel)."""
    return np.einsum("tcyx,yx->tc", fields.astype(np.float64) ** 2, run.grid.area_shares)
