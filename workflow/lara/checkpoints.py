"""Checkpoints of a training: its state after some step, proven whole before anything goes on from it.

Two files take turns, each with a receipt (`lara.receipts`) that is written last and holds the file's digest, the step,
the precision and the identity: the digest of all that the result depends on. So a kill at any moment, or a disk that
spoils one file, leaves the other, and weights are never taken from a file that has changed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from lara import receipts

_LOG = logging.getLogger(__name__)
_PLACES = ("a", "b")


class Checkpoints:
    """The two checkpoints that lie in the folder of a training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, fabric: Fabric, state: dict[str, Any], step: int, identity: str, precision: str) -> None:
        """Write the state reached at a step over the older checkpoint; called by every process of the training."""
        place = min(_PLACES, key=lambda which: self._step(which))
        part, target = self._file(place).with_suffix(".part"), self._file(place)
        fabric.save(part, state)
        if fabric.is_global_zero:
            receipts.sync(part)
            self._receipt(place).unlink(missing_ok=True)
            part.replace(target)
            receipts.sync(self.folder)
            note = {"step": step, "identity": identity, "precision": precision}
            receipts.write(self._receipt(place), digest=receipts.digest(target), **note)
        fabric.barrier()

    def load(self, fabric: Fabric, identity: str) -> dict[str, Any] | None:
        """State to go on from: the latest that is whole and of this identity. None, with a line why, where none is."""
        for place, note in self._notes():
            fault = self._fault(place, note, identity)
            if not fault:
                return dict(fabric.load(self._file(place), weights_only=True))
            _LOG.warning("training does not go on from %s: %s", self._file(place), fault)
        return None

    @property
    def precision(self) -> str | None:
        """Precision in which the training began, None before its first checkpoint."""
        return next((str(note["precision"]) for _, note in self._notes()), None)

    def _notes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Places that have a receipt which can be read, the latest first."""
        yield from sorted(
            ((place, note) for place in _PLACES if (note := self._note(place))), key=lambda pair: -pair[1]["step"]
        )

    def _note(self, place: str) -> dict[str, Any] | None:
        if not self._receipt(place).exists():
            return None
        try:
            note = receipts.read(self._receipt(place))
        except receipts.ReceiptError as fault:
            _LOG.warning("a checkpoint is passed over: %s", fault)
            return None
        return note if {"step", "digest", "identity", "precision"} <= note.keys() else None

    def _fault(self, place: str, note: dict[str, Any], identity: str) -> str:
        """Reason not to go on from a checkpoint; empty for none."""
        if not self._file(place).exists():
            return "it is missing"
        if note["identity"] != identity:
            return "it is of other settings, data, precision or code"
        if receipts.digest(self._file(place)) != note["digest"]:
            return "it has changed since it was written"
        return ""

    def _step(self, place: str) -> int:
        note = self._note(place)
        return -1 if note is None else int(note["step"])

    def _file(self, place: str) -> Path:
        return self.folder / f"checkpoint-{place}.ckpt"

    def _receipt(self, place: str) -> Path:
        return self.folder / f"checkpoint-{place}.json"
