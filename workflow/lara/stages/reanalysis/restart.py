"""State of a cycled experiment between two windows, as a file that loads without executing code.

Backgrounds of all members, the curvature pairs (s, y) and the diagonal that L-BFGS carries from window to window,
how many windows are done, and the digest of all the result depends on. Random streams belong to identities
(`Run.generator`), so no generator has a state to keep. safetensors with its description as JSON, and a digest of both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from lara import receipts
from lara.assimilation.cycle import Start
from lara.assimilation.lbfgs import Pairs


class RestartError(ValueError):
    """A restart file is absent, damaged, or of something else."""


@dataclass(frozen=True, eq=False)
class Restart:
    """Where cycling goes on: `done` windows are behind, `start` is what the next one starts from.

    failed: how many of them, the last ones, failed in a row. notes: size and digest of each file that stands for what
    is behind, by name; none in what one job leaves to another.
    """

    done: int
    start: Start
    failed: int = 0
    notes: dict[str, list[Any]] = field(default_factory=dict)


def save(path: Path, restart: Restart, identity: str) -> None:
    """Write a restart that belongs to `identity`; the file appears whole or not at all."""
    memories = [_memory(member, memory) for member, memory in enumerate(restart.start.memories or ())]
    tensors = {"background": restart.start.background} | {key: t for part, _ in memories for key, t in part.items()}
    stored = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    description = {
        "identity": identity,
        "done": restart.done,
        "failed": restart.failed,
        "notes": restart.notes,
        "memories": [note for _, note in memories] if restart.start.memories is not None else None,
    }
    description["digest"] = _digest(description, stored)
    receipts.write_bytes(path, serialise(stored, {"description": json.dumps(description, sort_keys=True)}))


def load(path: Path, identity: str, device: torch.device) -> Restart:
    """The restart at `path`. RestartError naming the file and the remedy unless it is whole and of `identity`."""
    description, tensors = read(path)
    if description["identity"] != identity:
        raise RestartError(
            f"restart {path} is of other settings, inputs or code ({description['identity']}, not {identity}): "
            "rerun the job before"
        )
    start = _start(tensors, description["memories"], device)
    return Restart(description["done"], start, description["failed"], description["notes"])


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Description and tensors of a restart, whosever it is. RestartError unless it is there and whole."""
    if not path.exists():
        raise RestartError(f"restart {path} does not exist: run the job before, which leaves it")
    try:
        with safe_open(path, framework="pt") as file:
            description = dict(json.loads((file.metadata() or {}).get("description", "{}")))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as fault:
        raise RestartError(f"restart {path} cannot be read ({fault}): delete it and rerun the job before") from None
    if description.pop("digest", None) != _digest(description, tensors):
        raise RestartError(f"restart {path} has changed since it was written: delete it and rerun the job before")
    return description, tensors


def _memory(member: int, memory: Any) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Tensors and description of what one member's minimisation left; TypeError for what has no form on disk."""
    if memory is None:
        return {}, None
    if not isinstance(memory, Pairs):
        raise TypeError(f"a minimiser leaves {type(memory).__name__}, and only pairs of L-BFGS can be kept")
    tensors: dict[str, Tensor] = {}
    for i, (s, y, _) in enumerate(memory.items()):
        tensors |= {f"s.{member}.{i}": s, f"y.{member}.{i}": y}
    if memory.diagonal is not None:
        tensors[f"diagonal.{member}"] = memory.diagonal
    return tensors, {"history": memory.history, "curvatures": [curvature for *_, curvature in memory.items()]}


def _start(tensors: dict[str, Tensor], notes: Sequence[dict[str, Any] | None] | None, device: torch.device) -> Start:
    placed = {key: tensor.to(device) for key, tensor in tensors.items()}
    if notes is None:
        return Start(placed["background"])
    return Start(placed["background"], tuple(_pairs(placed, member, note) for member, note in enumerate(notes)))


def _pairs(tensors: dict[str, Tensor], member: int, note: dict[str, Any] | None) -> Pairs | None:
    if note is None:
        return None
    pairs = [(tensors[f"s.{member}.{i}"], tensors[f"y.{member}.{i}"], c) for i, c in enumerate(note["curvatures"])]
    return Pairs.of(note["history"], pairs, tensors.get(f"diagonal.{member}"))


def _digest(description: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    said = json.dumps(description, sort_keys=True).encode()
    return receipts.digest(b"".join([said, *_parts(tensors)]))


def _parts(tensors: dict[str, Tensor]) -> Iterator[bytes]:
    for key in sorted(tensors):
        yield f"{key} {tensors[key].dtype} {list(tensors[key].shape)}".encode()
        yield tensors[key].numpy().tobytes()
