"""Cycled experiments of a run, and the archive, feedback and ledger they leave.

A job cycles a stretch of windows and may be killed at any point: called again, it goes on from its last checkpoint
(`lara.stages.reanalysis.checkpoints`) and leaves the bytes that an undisturbed one leaves.
"""

from __future__ import annotations

import errno
import logging
import math
import resource
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lara import locks, receipts, store
from lara.assimilation import FAILED, health
from lara.assimilation.analysis import Analysis
from lara.assimilation.cycle import Start, cycle, next_start
from lara.assimilation.failure import Forgiving
from lara.assimilation.window import Window
from lara.layout import Cycled
from lara.observations import table as tables
from lara.stages.covariance.factors import factors
from lara.stages.experiments import all_windows
from lara.stages.networks import RunWithNetworks
from lara.stages.observations.reader import ObservationReader
from lara.stages.reanalysis import restart as restarts
from lara.stages.reanalysis.analyst import Analyst
from lara.stages.reanalysis.attribution import attribution
from lara.stages.reanalysis.checkpoints import Journal
from lara.stages.reanalysis.ensemble import degrees_of_freedom, headline
from lara.stages.reanalysis.made_with import noted, occurring
from lara.stages.reanalysis.method import analyst as analyst_of
from lara.stages.reanalysis.provenance import archive_times, identity, observed, provenance
from lara.stages.reanalysis.restart import Restart
from lara.stages.writing import write_dataset, write_table

Report = Callable[[int, int, Analysis], None]
_LOG = logging.getLogger(__name__)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


@dataclass(frozen=True)
class Stretch:
    """Consecutive windows of an experiment that one job cycles, and the files it leaves.

    first: window with which this chain of stretches began, around which the spread of B is measured. before: restart
    that the stretch before left; None for the first of its chain. chained: whether another may follow.
    """

    name: str
    windows: Sequence[Window]
    first: Window
    files: Cycled
    before: Path | None = None
    chained: bool = False

    def position(self, done: int) -> int:
        """Number of times that the first `done` windows publish."""
        return sum(len(window.fresh) for window in self.windows[:done])


def cycle_experiment(run: RunWithNetworks, name: str, report: Report) -> None:
    """Run an experiment over its period; leaves a sealed archive, the feedback and the health ledger."""
    if name in run.config.production.streams:
        target = run.layout.archive_receipt(name)
        raise ValueError(f"experiment '{name}' is cycled in streams: run `snakemake {target}`")
    period = all_windows(run, name)
    cycle_stretch(run, Stretch(name, period, period[0], run.layout.cycled(name)), report)


def cycle_stretch(run: RunWithNetworks, stretch: Stretch, report: Report) -> None:
    """Cycle a stretch of windows, from where a killed job left off.

    LockError where another job is at it; OSError saying what was kept where the disk refuses.
    """
    chain = identity(run, stretch.name, stretch.first)
    windows = [str(stretch.windows[0]), str(stretch.windows[-1]), len(stretch.windows)]
    seen = observed(run, stretch.name, stretch.windows)
    mark = receipts.digest([chain, windows, seen, stretch.before and receipts.digest(stretch.before)])
    with locks.held(stretch.files.lock, "wait for it to end") as lock:
        job = _Job(run, stretch, chain, Journal(stretch.files.work, mark), lock, noted(run.device))
        try:
            job.cycle(report)
            job.finish()
        except OSError as fault:
            if fault.errno not in _NO_ROOM:
                raise
            raise OSError(
                f"{stretch.files.folder} or {stretch.files.archive} cannot be written ({fault}): make room or grant "
                "access; the same command then goes on from the last checkpoint"
            ) from fault


@dataclass(frozen=True, eq=False)
class _Job:
    """A stretch being cycled, under its lock.

    chain: identity that restarts between stretches belong to. machine: what this process analyses with.
    """

    run: RunWithNetworks
    stretch: Stretch
    chain: str
    journal: Journal
    lock: locks.Lock
    machine: dict[str, str]

    def cycle(self, report: Report) -> None:
        """Analyse the windows that are left and keep what they leave."""
        name, windows = self.stretch.name, self.stretch.windows
        chosen = self.run.config.experiments[name]
        r = [factors(self.run, name).observation] * chosen.members
        read = ObservationReader(self.run, name, chosen.dataset, r, chosen.members > 1)
        analyst = analyst_of(self.run, name, self.stretch.first)
        restart = self._resume() or replace(self._start(analyst), done=0)
        guard = Forgiving(analyst.method, analyst.step, self._healthy, chosen.forgiven, restart.failed)
        analyst, number = replace(analyst, method=guard), restart.done
        for analyses, seconds in _timed(analyse(self.run, analyst, windows[number:], restart.start, read)):
            self._keep(number, analyses, read.feedback(analyses[0]), seconds)
            number += 1
            if number % self.run.config.production.checkpoint_every == 0 or number == len(windows):
                following = analyses[0].window.following(chosen.overlap)
                start = next_start(analyses, following, analyst.step, analyst.disturb)
                self.journal.checkpoint(number, start, guard.failed)
            report(number, len(windows), analyses[0])

    def finish(self) -> None:
        """Seal the archive and write the tables; the notes go last."""
        files, last = self.stretch.files, self.journal.load(self.run.device)
        self.lock.require()
        ledger = self.journal.ledger()
        store.seal_archive(files.archive, self._failed_times(ledger), self._said())
        tables.write_feedback(self.journal.feedback(), files.feedback)
        write_table(ledger, files.health)
        write_table(self.journal.costs(), files.timings)
        if self.run.config.experiments[self.stretch.name].has_spread:
            write_dataset(self.journal.members(), files.members)
        if self.stretch.chained:
            restarts.save(files.restart, replace(last, notes={}), self.chain)
        self.journal.discard()

    def _said(self) -> dict[str, Any]:
        """Attributes of the archive that belong to no identity; whose it is stands in the one that is published."""
        stretch, told = self.stretch, occurring(self.journal.costs())
        published = {} if stretch.chained else attribution(self.run, stretch.name, archive_times(stretch.windows))
        return {**told, **published}

    def _failed_times(self, ledger: pd.DataFrame) -> np.ndarray:
        """Times that the windows which failed publish."""
        begins = ledger.loc[ledger["reason"] == FAILED, "begin"].to_numpy()
        failed = [window.fresh for window in self.stretch.windows if window.begin in begins]
        return np.concatenate([np.empty(0, "datetime64[ns]"), *failed])

    def _healthy(self, analysis: Analysis) -> None:
        health.require_healthy(analysis, self.run.config.minimiser.worst_reduction)

    def _start(self, analyst: Analyst) -> Restart:
        """Where the stretch before ended, or the start of the first."""
        if self.stretch.before is None:
            return Restart(0, analyst.start)
        return restarts.load(self.stretch.before, self.chain, self.run.device)

    def _resume(self) -> Restart | None:
        """The last checkpoint, if what was archived up to it is whole; otherwise None and an empty archive."""
        archive, found = self.stretch.files.archive, self.journal.resume(self.run.device)
        if found is not None:
            try:
                self._lay_out(store.restore_archive)
                store.require_written(archive, self.stretch.position(found.done))
            except store.StoreError as fault:
                _LOG.warning("cycling begins anew: %s", fault)
                self.journal.clear()
            else:
                _LOG.warning("%s goes on after window %d of %d", archive, found.done, len(self.stretch.windows))
                return found
        store.discard_archive(archive)
        self._lay_out(store.create_archive)
        return None

    def _lay_out(self, make: Callable[..., None]) -> None:
        """The archive, empty or as a killed job left it."""
        run, name, times = self.run, self.stretch.name, archive_times(self.stretch.windows)
        spread, made_of = run.config.experiments[name].has_spread, provenance(run, name, self.stretch.windows)
        make(self.stretch.files.archive, run.grid, run.channels, times, made_of, spread=spread)

    def _keep(self, number: int, analyses: Sequence[Analysis], feedback: pd.DataFrame, seconds: float) -> None:
        """Write a window's states to the archive and the rest to the journal."""
        self.lock.require()
        members = window_members(analyses)
        states = archived(analyses, members)
        store.write_archive(self.stretch.files.archive, self.stretch.position(number), **states)
        shown = None if members is None else headline(self.run, members, analyses[0].window)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        costs = {"seconds": seconds, "peak_memory_MB": peak, **self.machine}
        self.journal.add(ledger_rows(analyses, feedback), costs, feedback, shown)


def analyse(
    run: RunWithNetworks, analyst: Analyst, windows: Sequence[Window], start: Start, read: ObservationReader
) -> Iterator[list[Analysis]]:
    """Analyses of the windows by member."""
    if windows:
        yield from cycle(windows, start, read, analyst.method, analyst.step, analyst.disturb)


def archived(analyses: Sequence[Analysis], members: Tensor | None) -> dict[str, np.ndarray]:
    """What the archive keeps of a window's fresh slots: means over analyses, and the spread of `members`."""
    fresh = slice(analyses[0].window.overlap, None)
    states = {
        "analysis": torch.stack([one.analysis[fresh] for one in analyses]).mean(0),
        "background": torch.stack([one.background[fresh] for one in analyses]).mean(0),
    }
    if members is not None:
        states["spread"] = members[:, fresh].std(0)
    return {kind: part.cpu().numpy() for kind, part in states.items()}


def window_members(analyses: Sequence[Analysis]) -> Tensor | None:
    """Trajectories (m, k, c, y, x) whose spread is that of the analysis: members, or draws of the posterior."""
    return torch.stack([a.analysis for a in analyses]) if len(analyses) > 1 else analyses[0].draws


def ledger_rows(analyses: Sequence[Analysis], feedback: pd.DataFrame) -> list[dict[str, object]]:
    """The health of every member, and what became of its data by reason."""
    found = analyses[0].degrees_of_freedom or (degrees_of_freedom(analyses) if analyses[0].assimilated else math.nan)
    shared = {
        "degrees_of_freedom": found,
        **{f"n: {reason}": int(count) for reason, count in feedback["reason"].value_counts().items()},
        **({"failure": analyses[0].failure} if analyses[0].failure else {}),
    }
    return [{"member": number, **health.row(analysis), **shared} for number, analysis in enumerate(analyses)]


def _timed(analyses: Iterator[list[Analysis]]) -> Iterator[tuple[list[Analysis], float]]:
    """Each window's analyses with the seconds they took."""
    begin = clock.monotonic()
    for found in analyses:
        yield found, clock.monotonic() - begin
        begin = clock.monotonic()
