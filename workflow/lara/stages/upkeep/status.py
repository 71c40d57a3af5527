"""Status of a running reanalysis, from what its jobs leave on disk: receipts, ledgers, locks and logs."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from lara import locks
from lara.assimilation import FAILED
from lara.stages.experiments import all_windows
from lara.stages.reading import read_table
from lara.stages.reanalysis.checkpoints import ledger_lines
from lara.stages.reanalysis.cycle import Stretch
from lara.stages.reanalysis.streams import stretch
from lara.stages.run import Run

RECENT = 40  # windows that the speed is the mean over


def tell(run: Run) -> str:
    """The status as a table to be read."""
    return status(run).to_string(index=False, float_format="{:.1f}".format)


def status(run: Run) -> pd.DataFrame:
    """One row per stream that has begun or is to be cycled: windows done, last valid time, speed, time left, state.

    `failed` windows are those whose background was published. Time left is that of the stream's chain of jobs at its
    recent speed, queueing not counted.
    """
    rows = [_row(run, name, stream, parts) for name, stream, parts in _streams(run)]
    columns = ["experiment", "stream", "windows", "of", "failed", "last_time", "per_hour", "hours_left", "state"]
    return pd.DataFrame(rows, columns=columns)


def _streams(run: Run) -> Iterator[tuple[str, str, list[tuple[str, Stretch]]]]:
    """Experiment, stream, and its stretches in order by the name of their log."""
    for name in run.config.experiments:
        if name not in run.config.production.streams:
            period = all_windows(run, name)
            whole = Stretch(name, period, period[0], run.layout.cycled(name))
            yield name, "-", [(f"cycle-experiment-{name}", whole)]
            continue
        chunks = run.config.production.chunks(name)
        for stream in run.config.production.streams[name]:
            mine = [chunk for chunk in chunks if chunk.stream == stream]
            labels = [f"cycle-chunk-{name}-{stream}-{chunk.name}" for chunk in mine]
            yield name, stream, [(label, stretch(run, name, c)) for label, c in zip(labels, mine, strict=True)]


def _row(run: Run, name: str, stream: str, parts: Sequence[tuple[str, Stretch]]) -> dict[str, object]:
    done, failed, seconds, last, state = 0, 0, [], None, "waiting"
    for label, part in parts:
        try:
            count, bad, spent = _progress(part)
        except ValueError as fault:
            state = f"unknown; {fault}"
            continue
        if not count and not part.files.lock.exists():
            continue
        done, failed = done + count, failed + bad
        seconds += spent
        last = part.windows[count - 1].slots[-1] if count else last
        state = _state(run, label, part, count)
    total = sum(len(part.windows) for _, part in parts)
    recent = seconds[-RECENT:]
    rate = 3600 * len(recent) / sum(recent) if recent else float("nan")
    return {
        "experiment": name,
        "stream": stream,
        "windows": done,
        "of": total,
        "failed": failed,
        "last_time": "-" if last is None else str(last)[:16],
        "per_hour": rate,
        "hours_left": (total - done) / rate,
        "state": "done" if done == total and state == "ended" else state,
    }


def _progress(part: Stretch) -> tuple[int, int, list[float]]:
    """Windows that a job has analysed, how many of them failed, and the seconds each took.

    ValueError where what tells of it is damaged.
    """
    files = part.files
    if files.archive_receipt.exists() and files.timings.exists() and files.health.exists():
        health = read_table(files.health)
        bad = health.loc[health["reason"] == FAILED, "begin"].nunique()
        return len(part.windows), bad, read_table(files.timings)["seconds"].tolist()
    lines = ledger_lines(files.work)
    bad = sum(line["rows"][0]["reason"] == FAILED for line in lines)
    return len(lines), bad, [line["costs"]["seconds"] for line in lines]


def _state(run: Run, label: str, part: Stretch, count: int) -> str:
    """What the job of a stretch is doing, or the last line it said before it ended early."""
    try:
        holder = locks.read(part.files.lock)
    except locks.LockError as fault:
        return f"unknown; {fault}"
    if holder is not None and (age := clock.time() - part.files.lock.stat().st_mtime) < locks.STALE:
        return f"cycled by {holder}, renewed {max(age, 0):.0f} s ago"
    if count == len(part.windows):
        return "ended"
    return f"stopped; {_last_line(run.layout.log(label))}"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    said = [line for line in lines if line.strip()]
    return said[-1][:200] if said else f"no log {log}"
