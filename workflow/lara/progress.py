"""Progress of a command on the terminal or in a job's log: share done, time left, and a note of the stage."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lara.assimilation.analysis import Analysis
    from lara.sources.cds_transfer import Progress as DownloadProgress


class Progress:
    """Prints share done and time left, at most every few seconds; time counts from the first report on."""

    def __init__(self, what: str, every: float = 5.0) -> None:
        self.what, self.every = what, every
        self.begin = self.last = time.monotonic()
        self.first: int | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` is done."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.begin = done, now
        if done < total and now - self.last < self.every:
            return
        self.last = now
        bar = "#" * round(20 * done / total)
        print(
            f"{self.what} [{bar:<20}] {done}/{total}{self._left(done, total, now)}{note}", file=sys.stderr, flush=True
        )

    def _left(self, done: int, total: int, now: float) -> str:
        """Time left at the pace since the first report, in words; nothing is said of the first, which has no pace."""
        if self.first is None or done == self.first:
            return ""
        return f", {(now - self.begin) / (done - self.first) * (total - done) / 60:.1f} min left"


def counting(what: str) -> Callable[[str], Progress]:
    """Progress of a command in some unit, such as "days", of the thing it is for."""
    return lambda name: Progress(f"{name}, {what}" if name else what)


def training_progress(name: str) -> Callable[[int, int, float], None]:
    """Progress of a network's training in passes through it, with its loss."""
    _say_more()
    progress = Progress(f"{name or 'forecaster'}, passes")
    return lambda done, total, loss: progress(done, total, f", loss {loss:.4g}")


def download_progress(name: str) -> DownloadProgress:
    """Progress of a download in bytes; what comes before has no measure, and the log tells it.

    Of a job that waits for days the log is the only sign of life.
    """
    _say_more()
    bars: list[Progress] = []

    def report(done: int, total: int, note: str = "") -> None:
        if total > 1:
            bars[:] = bars or [Progress(f"{name}, bytes")]
            bars[0](done, total, note)

    return report


def cycling_progress(name: str) -> Callable[[int, int, Analysis], None]:
    """Progress of cycling in windows, with what the last analysis made of the cost."""
    progress = Progress(f"{name}, windows")

    def report(done: int, total: int, analysis: Analysis) -> None:
        note = f", J {analysis.start.total:.0f} -> {analysis.end.total:.0f} for p = {analysis.fit.used}"
        progress(done, total, note if analysis.assimilated else "")

    return report


def _say_more() -> None:
    """Let the log tell what goes well, too."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    logging.getLogger("lara").setLevel(logging.INFO)
