"""What commands share: how they are offered and how they report progress."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

    from lara.experiment.run import Run
    from lara.sources.cds_transfer import Progress as DownloadProgress

COMMANDS: dict[str, tuple[Callable[[Run, str], None], str, str]] = {}
Command = Callable[["Run", str], None]


def command(argument: str = "") -> Callable[[Command], Command]:
    """Offer a function as the subcommand of its name; `argument` names what it is done for, if anything."""

    def offer(function: Command) -> Command:
        name = function.__name__.replace("_", "-")
        COMMANDS[name] = (function, argument, (function.__doc__ or "").strip())
        return function

    return offer


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


def training_progress(name: str) -> Callable[[int, int, float], None]:
    """Progress of a network's training with its loss."""
    progress = Progress(f"{name}, steps")
    return lambda done, total, loss: progress(done, total, f", loss {loss:.4g}")


def download_progress(name: str) -> DownloadProgress:
    """Progress of a download in bytes; what comes before has no measure, and the log tells it."""
    bars: list[Progress] = []

    def report(done: int, total: int, note: str = "") -> None:
        if total > 1:
            bars[:] = bars or [Progress(f"{name}, bytes")]
            bars[0](done, total, note)

    return report


def say_more() -> None:
    """Let the log tell what goes well, too: of a job that waits for days it is the only sign of life."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    logging.getLogger("lara").setLevel(logging.INFO)


def compare(run: Run, name: str, measure: Callable[[Run, Callable[[int, int], None]], DataFrame]) -> None:
    """Write the table of a comparison."""
    path = run.layout.comparison(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    measure(run, Progress(name)).to_csv(path, index=False)
