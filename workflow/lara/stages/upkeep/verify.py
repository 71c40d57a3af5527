"""Proof of all that a run has left and that carries a receipt, a digest or checksums, byte for byte.

A part is, say, "dataset/test": proven by its receipts, as weights and tables are; restarts by their digest, arrays by
the checksums in their files, an archive by its receipt and the digests that it states of what it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lara import receipts, store
from lara.config import Cds
from lara.depends.inputs import Inputs
from lara.layout import Cycled
from lara.networks import weights
from lara.observations import parquet_files
from lara.stages.data.download import delivered, deliveries
from lara.stages.networks import RunWithNetworks
from lara.stages.reanalysis import restart as restarts
from lara.stages.reanalysis.provenance import digest_key, observed_key
from lara.stages.run import Run

RECEIPT = ".receipt.json"


@dataclass(frozen=True)
class Part:
    """Something that a run has left: its `files`, of which one is there if it was made, and what proves it whole.

    prove: raises ValueError or OSError naming a damaged file, or returns faults, a line each. begun: what is there
    before it is finished.
    """

    label: str
    files: tuple[Path, ...]
    prove: Callable[[], list[str] | None]
    begun: Path | None = None

    @property
    def is_there(self) -> bool:
        """Whether it was made."""
        return any(path.exists() for path in self.files)

    @property
    def state(self) -> str:
        """How far it is where nothing is wrong with it; empty where it was not begun."""
        if self.is_there:
            return f"{self.label} is whole"
        return f"{self.label} is not finished" if self.begun and self.begun.exists() else ""

    def is_called(self, name: str) -> bool:
        """Whether a user means it by its label, or by the name in it."""
        return name in ("", self.label, self.label.partition("/")[2])

    def faults(self) -> list[str]:
        """All that is wrong with it, a line each."""
        try:
            return self.prove() or []
        except (ValueError, OSError) as fault:
            return [str(fault)]


def verify(run: RunWithNetworks, only: str = "") -> str:
    """Prove every part of a run that was made, or those called `only`; ValueError naming every file that is damaged."""
    parts = list(_parts(run))
    parts.append(_results_beyond(run, parts))
    chosen = [part for part in parts if part.is_called(only) and part.state]
    if not chosen:
        there = ", ".join(part.label for part in parts if part.is_there)
        raise ValueError(f"'{only}' is nothing that {run.layout.root} has: choose one of {there or 'nothing'}")
    faults = [f"{part.label}: {fault}" for part in chosen if part.is_there for fault in part.faults()]
    if faults:
        raise ValueError("; ".join(faults))
    return "\n".join(part.state for part in chosen)


def _parts(run: RunWithNetworks) -> Iterator[Part]:
    layout, config = run.layout, run.config
    yield from _data(run)
    yield Part("statistics", (layout.statistics,), partial(_arrays, layout.statistics))
    for name in (*config.autoencoders, "forecaster"):
        path = layout.weights(name)
        yield Part(f"network/{name}", (path,), partial(_weights, path))
    for space in config.spaces:
        path = layout.background_error(space)
        yield Part(f"covariance/{space}", (path,), partial(_arrays, path))
    for name in config.datasets:
        months = config.months(name)
        files = [
            table for month in months for table in (layout.observations(name, month), layout.screened(name, month))
        ]
        yield Part(f"observations/{name}", tuple(files), partial(_tables, files))
    for name in config.experiments:
        yield from _cycled(run, name)


def _results_beyond(run: Run, parts: Sequence[Part]) -> Part:
    """Files with a receipt beside them that none of the parts proves."""
    proven = {file for part in parts for file in part.files}
    beside = (file for file in sorted(run.layout.root.rglob(f"*{RECEIPT}")) if ".zarr" not in str(file))
    left = tuple(file for file in beside if _vouched(file) not in proven)
    return Part("results", left, partial(_results, left))


def _data(run: RunWithNetworks) -> Iterator[Part]:
    """Downloads, datasets and forecasts to train on."""
    layout, config = run.layout, run.config
    for name in config.datasets:
        if isinstance(config.source, Cds):
            for part in deliveries(run, name):
                gone = not config.source.keep and bool(_made(run, name))
                files = () if gone else (layout.delivery_receipt(part.name),)
                yield Part(f"delivery/{part.name}", files, partial(_delivery, run, part))
        made = _made(run, name)
        yield Part(f"dataset/{name}", tuple(made), partial(_states, layout.dataset(name), made), layout.dataset(name))
    for name in config.autoencoders:
        receipt = layout.forecast_states_receipt(name)
        yield Part(f"forecasts/{name}", (receipt,), partial(_forecasts, run, name, receipt))


def _cycled(run: Run, name: str) -> Iterator[Part]:
    """The archive of an experiment with its tables, and those of its chunks."""
    whole = run.layout.cycled(name)
    link = [whole.archive] if whole.archive.is_symlink() else []
    yield Part(f"archive/{name}", (whole.archive_receipt, *link), partial(_published, run, name), whole.archive)
    for chunk in run.config.production.chunks(name):
        part = run.layout.chunk(name, chunk.stream, chunk.name)
        label, files = f"chunk/{name}/{chunk.stream}/{chunk.name}", (part.archive_receipt, part.restart)
        yield Part(label, files, partial(_archive, part), part.archive)


def _delivery(run: Run, part: Any) -> None:
    delivered(run, part)


def _results(beside: Sequence[Path]) -> list[str]:
    """Faults of files that have a receipt beside them."""
    faults = []
    for receipt in beside:
        if _vouched(receipt).exists():
            try:
                receipts.require_whole(_vouched(receipt))
            except receipts.ReceiptError as fault:
                faults.append(str(fault))
    return faults


def _vouched(receipt: Path) -> Path:
    """The file that a receipt is beside."""
    return receipt.with_name(receipt.name.removesuffix(RECEIPT))


def _made(run: Run, dataset: str) -> list[Path]:
    """Receipts of the parts of a dataset that were made."""
    return [path for path in Inputs(run.config, run.layout).dataset(dataset) if path.exists()]


def _states(path: Path, made: Sequence[Path]) -> list[str]:
    """Faults of a store of states, all of it read that parts say to be made."""
    faults = []
    for receipt in made:
        told = receipts.read(receipt)
        begin, end = (np.datetime64(told[key], "ns") for key in ("begin", "end"))
        store.open_state(path, begin, end, verify=True)
        if told["content"] != store.content_digest(path, begin, end):
            faults.append(f"{path} is not what {receipt} says: run snakemake, which makes either again")
    return faults


def _forecasts(run: Run, name: str, receipt: Path) -> list[str]:
    """Faults of the forecasts that an autoencoder is trained on."""
    content = receipts.read(receipt).get("content", {})
    stores = {dataset: run.layout.forecast_states(name, dataset) for dataset in content}
    for path in stores.values():
        store.open_state(path, verify=True)
    return [
        f"{path} is not what {receipt} says: run snakemake, which makes either again"
        for dataset, path in stores.items()
        if store.content_digest(path) != content[dataset]
    ]


def _arrays(path: Path) -> None:
    store.read_arrays(path)


def _weights(path: Path) -> None:
    weights.read(path)


def _tables(files: Sequence[Path]) -> None:
    for path in files:
        if path.exists():
            parquet_files.prove(path)


def _archive(files: Cycled) -> list[str]:
    """Faults of an archive, of its versions and of the tables beside it."""
    faults = store.verify_archive(files.archive)
    faults += [fault for old in store.versions_of(files.archive)[1:] for fault in store.verify_archive(old)]
    _tables((files.feedback, files.health, files.timings))
    if files.restart.exists():
        restarts.read(files.restart)
    return faults


def _published(run: Run, name: str) -> list[str]:
    """Faults of the archive of an experiment, and of what it was made from."""
    return [*_archive(run.layout.cycled(name)), *_made_from(run, name)]


def _made_from(run: Run, name: str) -> list[str]:
    """Files that an archive states another digest of than they have."""
    archive = run.layout.archive(name)
    said = store.open_archive(archive).attrs
    inputs = Inputs(run.config, run.layout)
    stated = {path: said.get(digest_key(run, path)) for path in inputs.stated(name)}
    tables_of = inputs.observations(name, *run.config.period(name))
    stated |= {path: said.get(observed_key(path)) for path in tables_of}
    return [
        f"{path} is not what {archive} was made from: it is damaged, or was made again since"
        for path, digest in stated.items()
        if digest is not None and path.exists() and receipts.digest(path) != digest
    ]
