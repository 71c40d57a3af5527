"""Origin of what a run has from another: what weights, receipts and archives say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lara import receipts, store
from lara.depends.imports import Imports
from lara.networks import weights
from lara.stages.run import Run, time

ORIGIN = "imported"  # key under which they say it


def stated(run: Run, name: str) -> dict[str, Any]:
    """What an experiment has from another run: its name, and the digests of that run's files; empty for nothing."""
    chosen, taken, layout = run.config.experiments[name], Imports(run.config), run.layout
    networks = [one for one in ("forecaster", chosen.autoencoder) if one in taken.networks]
    found = {layout.weights(one): _origin(layout.weights(one)) for one in networks}
    copied = [layout.statistics] if taken.networks else []
    if chosen.variational and chosen.space in taken.spaces:
        copied.append(layout.background_error(chosen.space))
    found |= {path: receipts.digest(path) for path in copied}
    if chosen.dataset in taken.datasets:
        begin, end = map(time, run.config.period(name))
        found[layout.dataset(chosen.dataset)] = store.content_digest(layout.dataset(chosen.dataset), begin, end)
    named = {path.relative_to(layout.root).as_posix(): digest for path, digest in found.items()}
    return {ORIGIN: {"run": taken.name, **named}} if named else {}


def _origin(path: Path) -> str:
    """Digest of the file that imported weights come from; ValueError for weights that were made here."""
    note = weights.read(path)[0].get(weights.TRAINING, {})
    if ORIGIN not in note:
        raise ValueError(f"{path} was made here and is to be imported: run snakemake, which does it")
    return str(note[ORIGIN]["digest"])
