"""Checkpoints of a cycling job: its work so far, on disk, so that a killed job resumes from the last one.

A folder holds `ledger.jsonl`, one line per window as soon as it is analysed; feedback and members in parts, one per
checkpoint; and `checkpoint.safetensors`, written last, with size and digest of all that it stands on. Whatever is newer
than the checkpoint is made again; where something older is missing or has changed, all is. Results are gathered from
these parts by killed and unkilled jobs alike, so that both leave the same bytes.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from lara import receipts
from lara.assimilation.cycle import Start
from lara.observations import table as tables
from lara.stages.reading import read_dataset
from lara.stages.reanalysis import restart as restarts
from lara.stages.reanalysis.restart import Restart, RestartError
from lara.stages.writing import write_dataset

_LOG = logging.getLogger(__name__)

LEDGER, CHECKPOINT = "ledger.jsonl", "checkpoint.safetensors"


@dataclass(eq=False)
class Journal:
    """The notes of one job in `folder`; `identity` is the digest of all its result depends on."""

    folder: Path
    identity: str
    _feedback: list[pd.DataFrame] = field(default_factory=list)
    _members: list[xr.DataArray] = field(default_factory=list)
    _notes: dict[str, list[Any]] = field(default_factory=dict)  # what the last checkpoint stands on

    def resume(self, device: torch.device) -> Restart | None:
        """The last checkpoint, with all that is newer removed; None, and an empty folder, where there is none."""
        try:
            found = self.load(device) if (self.folder / CHECKPOINT).exists() else None
        except RestartError as fault:
            _LOG.warning("cycling begins anew: %s", fault)
            found = None
        if found is None:
            self.clear()
            return None
        self._notes = dict(found.notes)
        for file in self.folder.iterdir():
            if file.name not in (*found.notes, CHECKPOINT):
                file.unlink()
        receipts.write_bytes(self.folder / LEDGER, self._ledger(found.notes))
        return found

    def add(
        self, rows: Sequence[dict[str, Any]], costs: dict[str, Any], feedback: pd.DataFrame, members: Any = None
    ) -> None:
        """Append a window's ledger to the disk; its feedback and members (xr.DataArray) wait for the checkpoint."""
        line = json.dumps({"rows": [_plain(row) for row in rows], "costs": costs})
        with (self.folder / LEDGER).open("a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._feedback.append(feedback)
        if members is not None:
            self._members.append(members)

    def checkpoint(self, done: int, start: Start, failed: int = 0) -> None:
        """Write what waits, then where to go on after `done` windows, of which the last `failed` failed."""
        fresh = [self._part("feedback", done, "parquet")]
        tables.write_feedback(self._feedback, fresh[0])
        if self._members:
            fresh.append(self._part("members", done, "nc"))
            write_dataset(xr.concat(self._members, "time").to_dataset(), fresh[1])
        self._notes |= receipts.describe([self.folder / LEDGER, *fresh], self.folder)
        restarts.save(self.folder / CHECKPOINT, Restart(done, start, failed, self._notes), self.identity)
        self._feedback.clear()
        self._members.clear()

    def load(self, device: torch.device) -> Restart:
        """The last checkpoint, and all it stands on found whole. RestartError naming what is not, or is of others."""
        found = restarts.load(self.folder / CHECKPOINT, self.identity, device)
        parts = {name: note for name, note in found.notes.items() if name != LEDGER}
        faults = receipts.problems(parts, self.folder)
        if receipts.digest(self._ledger(found.notes)) != found.notes[LEDGER][1]:
            faults.append(f"{self.folder / LEDGER} is missing or has changed")
        if faults:
            raise RestartError(f"{faults[0]} ({len(faults)} such files): the same command begins anew")
        return found

    def clear(self) -> None:
        """Begin with an empty folder."""
        self.discard()
        self._notes.clear()
        self.folder.mkdir(parents=True)

    def discard(self) -> None:
        """Forget all, the checkpoint first: what is half removed is not gone on from."""
        (self.folder / CHECKPOINT).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def feedback(self) -> Iterator[pd.DataFrame]:
        """Every datum of the windows up to the last checkpoint, cycle after cycle."""
        for part in self._parts("feedback"):
            yield from tables.feedback_parts(part)

    def members(self) -> xr.Dataset:
        """What was kept of members up to the last checkpoint."""
        return xr.concat([read_dataset(part) for part in self._parts("members")], "time")

    def ledger(self) -> pd.DataFrame:
        """One row per window and member."""
        rows = [row for line in ledger_lines(self.folder) for row in line["rows"]]
        return pd.DataFrame(rows).astype({"begin": "datetime64[ns]"})

    def costs(self) -> pd.DataFrame:
        """Seconds, memory, software and machine, one row per window."""
        lines = ledger_lines(self.folder)
        return pd.DataFrame([{"begin": line["rows"][0]["begin"], **line["costs"]} for line in lines]).astype(
            {"begin": "datetime64[ns]"}
        )

    def _part(self, kind: str, done: int, suffix: str) -> Path:
        return self.folder / f"{kind}-{done:08d}.{suffix}"

    def _parts(self, kind: str) -> list[Path]:
        """Parts of a kind that the last checkpoint stands on, in order."""
        return [self.folder / name for name in sorted(self._notes) if name.startswith(f"{kind}-")]

    def _ledger(self, notes: dict[str, list[Any]]) -> bytes:
        """The ledger as long as it was at a checkpoint; shorter where it is cut off or missing."""
        path = self.folder / LEDGER
        return path.read_bytes()[: notes[LEDGER][0]] if path.exists() else b""


def ledger_lines(folder: Path) -> list[dict[str, Any]]:
    """Lines of the ledger in a folder that are whole; the last of a running job may not be.

    ValueError naming one that is damaged.
    """
    path = folder / LEDGER
    raw = path.read_bytes() if path.exists() else b""
    return [_line(path, n, line) for n, line in enumerate(raw.splitlines(keepends=True)) if line.endswith(b"\n")]


def _line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError) as fault:
        raise ValueError(f"{path}, line {number + 1}, is damaged ({fault}): the job begins anew") from None


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON keeps it, numbers to the bit."""
    return {key: _scalar(value) for key, value in row.items()}


def _scalar(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value
