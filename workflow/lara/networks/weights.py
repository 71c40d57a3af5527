"""Weights on disk: safetensors with a description, read without executing code.

The description says what the weights are for (channels, grid, sizes); loading refuses weights made for anything else.
What it says of how they were made is no condition; weights that are not what the receipt beside them says are refused,
too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lara import receipts

TRAINING = "training"  # key of the description for how the weights were made


class WeightsError(ValueError):
    """Weights that are absent, broken or made for another network."""


def save(module: nn.Module, path: Path, description: dict[str, Any], training: Mapping[str, Any] | None = None) -> None:
    """Write all parameters and buffers; the file appears whole or not at all.

    `training` (JSON-able) says how the weights were made, say in which precision, and is no condition of loading them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    tensors = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    # one text, since safetensors keeps several in no fixed order
    notes = json.dumps(description | {TRAINING: {**(training or {})}}, sort_keys=True)
    save_file(tensors, part, metadata={"description": notes})
    receipts.put(part, path)


def load(module: nn.Module, path: Path, description: dict[str, Any]) -> None:
    """Fill a module from a file made with the same description; WeightsError names what differs."""
    found, tensors = read(path)
    found.pop(TRAINING, None)
    wanted = json.loads(json.dumps(description))
    for key in sorted(wanted.keys() | found.keys()):
        if found.get(key) != wanted.get(key):
            raise WeightsError(
                f"weights {path} were made for {key} {found.get(key)}, not {wanted.get(key)}: "
                "train again or point to the weights of this configuration"
            )
    module.load_state_dict(tensors)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Description and tensors of a file. WeightsError where there is none, or where it is damaged."""
    if not path.exists():
        raise WeightsError(f"weights {path} do not exist: run the training rule that makes them")
    try:
        with safe_open(path, framework="pt") as file:
            found = json.loads((file.metadata() or {}).get("description", "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as fault:
        raise WeightsError(f"weights {path} cannot be read ({fault}): delete them and run the training rule") from None
    try:
        receipts.require_whole(path)
    except receipts.ReceiptError as fault:
        raise WeightsError(f"weights {path} are not those that were trained: {fault}") from None
    return found, tensors
