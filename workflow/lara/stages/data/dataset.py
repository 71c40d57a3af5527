"""Datasets of a run: states filled month by month from a source, sealed, and required whole."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lara import receipts, store
from lara.config import Cds, Simulated, Zarr
from lara.depends.parts import Part, parse
from lara.depends.stated import stated
from lara.stages.data.month import Month, Report, Span
from lara.stages.run import Run, time, time_range

_LOG = logging.getLogger(__name__)


def generate_dataset(run: Run, label: str, report: Report) -> None:
    """Fill a part "dataset/20010101-20010301" of a dataset from its source; months already sealed are kept."""
    dataset, part = part_of(run, label)
    chosen, path = run.config.datasets[dataset], run.layout.dataset(dataset)
    begin, end = time(part.begin), time(part.end)
    times = time_range(chosen.begin, chosen.end, run.step)
    lay_out(run, dataset, times)
    wanted = unsealed_months(path, begin, end)
    if wanted:
        for month in _months(run, dataset, wanted, report):
            write_month(path, times, month)
    whole = store.open_state(path, begin, end)
    require_every_time(run, dataset, part, whole)
    receipts.write(
        run.layout.dataset_part(dataset, part.name),
        dataset=dataset,
        begin=str(begin),
        end=str(end),
        count=len(whole),
        content=store.content_digest(path, begin, end),
    )


def part_of(run: Run, label: str) -> tuple[str, Part]:
    """Dataset and part of a label such as "training/20010101-20010301". ValueError for one that there is not."""
    dataset, _, _ = label.partition("/")
    if dataset not in run.config.datasets:
        known = ", ".join(run.config.datasets)
        raise ValueError(f"no dataset of '{label}' in {run.layout.config}: choose one of {known}")
    part, whole = parse(label), run.config.datasets[dataset]
    if not whole.begin <= part.begin < part.end <= whole.end:
        raise ValueError(f"datasets.{dataset} is from {whole.begin} to {whole.end}: choose a part within, not {label}")
    return dataset, part


def _months(run: Run, dataset: str, wanted: Sequence[Span], report: Report) -> Iterator[Month]:
    """The months wanted, or those from the first on, from whichever source the run has. `report` receives days."""
    from lara.stages.data import cds, simulated, zarr  # each imports the libraries of its provider

    source: dict[type, ModuleType] = {Simulated: simulated, Cds: cds, Zarr: zarr}
    found: Iterator[Month] = source[type(run.config.source)].months(run, dataset, wanted, report)
    return found


def write_month(path: Path, times: np.ndarray, month: Month) -> None:
    """Write and seal a month of a dataset with these times."""
    first, last = np.searchsorted(times, month.span).tolist()
    held = ~np.isin(times[first:last], list(month.gaps))
    if held.sum() != len(month.states):
        raise ValueError(f"the source gives {len(month.states)} states of {held.sum()} from {month.span[0]} for {path}")
    states, gaps = month.states, np.flatnonzero(~held).tolist()
    if gaps:
        states = np.full((len(held), *month.states.shape[1:]), np.nan, np.float32)
        states[held] = month.states
    store.write_block(path, first, states, gaps)
    why = {gap: month.gaps[times[first + gap]] for gap in gaps}
    store.seal(path, str(month.span[0])[:10], first, len(held), month.provenance, why)


def require_every_time(run: Run, dataset: str, part: Part, states: store.StateStore) -> None:
    """ValueError for a dataset with gaps that is not for training: cycles and scores need every time."""
    chosen = run.config.datasets[dataset]
    lost = np.setdiff1d(time_range(part.begin, part.end, run.step), states.times)
    if not lost.size:
        return
    _LOG.warning("%s: the source lacks %d times, the first is %s; they stay gaps", dataset, lost.size, lost[0])
    if chosen.use != "training":
        raise ValueError(
            f"datasets.{dataset} ({chosen.use}): the source lacks {lost.size} times, the first is {lost[0]}: "
            "choose a period without gaps, which only training can do with"
        )


def lay_out(run: Run, dataset: str, times: np.ndarray) -> None:
    """The store of a dataset: as it was if made by the same source, member and seed, else emptied."""
    path, chosen = run.layout.dataset(dataset), run.config.datasets[dataset]
    source = run.config.source
    made_by: dict[str, Any] = {"source": json.dumps(stated(source, source.fetch_only_keys), sort_keys=True)}
    if source.has_members:
        made_by |= {"member": chosen.member, "seed": run.config.seed}
    if path.is_symlink():  # to another run's, which is not to be written
        store.discard(path)
    try:
        store.create(path, run.grid, run.channels, times, made_by)
    except store.StoreError as fault:
        _LOG.warning("%s; it is generated anew", fault)
        store.discard(path)
        for receipt in run.layout.dataset_part(dataset, "any").parent.glob("*.json"):
            receipt.unlink()  # of parts that are no more
        store.create(path, run.grid, run.channels, times, made_by)


def unsealed_months(path: Path, begin: np.datetime64, end: np.datetime64) -> list[Span]:
    """Calendar months, or parts, of [begin, end) that are not whole in the store."""
    months = np.arange(begin.astype("M8[M]") + 1, end.astype("M8[M]") + 1).astype("M8[ns]")
    starts = [begin, *(month for month in months if month < end)]
    return [span for span in zip(starts, [*starts[1:], end], strict=True) if not _is_sealed(path, span)]


def _is_sealed(path: Path, span: Span) -> bool:
    try:
        store.open_state(path, *span)
    except store.StoreError:
        return False
    return True
