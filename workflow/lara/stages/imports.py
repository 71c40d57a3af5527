"""Imports: statistics, networks, background errors and states of another run, proven and taken as they are.

Files are copied, states linked to. What was taken, and the digest it had, stands in the description of weights, in the
receipts of datasets and in archives. The other run is only read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lara import normalise, receipts, store
from lara.depends.imports import Imports
from lara.networks import weights
from lara.stages.data.dataset import part_of, require_every_time
from lara.stages.models.network_errors import longest_window
from lara.stages.networks import RunWithNetworks
from lara.stages.origin import ORIGIN
from lara.stages.reading import read_dataset
from lara.stages.run import Run, time
from lara.stages.writing import write_raw


def import_statistics(run: Run) -> None:
    """Take climatology and scales. StoreError where they are damaged, ValueError where of other channels or grid."""
    theirs = imports_of(run).theirs.statistics
    found = normalise.load(theirs)
    if found.channels != run.channels or found.mean.shape[1:] != run.grid.shape:
        raise ValueError(
            f"{theirs} is for {found.channels.names} on {found.mean.shape[1:]}, not for {run.channels.names} on "
            f"{run.grid.shape}: import nothing of that run, or set state and grid as they are there"
        )
    receipts.write_bytes(run.layout.statistics, theirs.read_bytes())


def import_network(run: RunWithNetworks, name: str) -> None:
    """Take a network with its errors and curves. WeightsError where its weights are damaged or of another network."""
    imports = imports_of(run, "networks", name)
    path, chosen = imports.theirs.weights(name), run.config
    module = run.new_forecaster() if name == "forecaster" else run.new_autoencoder(name)
    section = chosen.forecaster if name == "forecaster" else chosen.autoencoders[name]
    weights.load(module, path, run.description(section))
    made = dict(weights.read(path)[0][weights.TRAINING])
    _require_scales(run, imports, name, made)
    _require_errors(run, imports, name)
    origin = {"run": imports.name, "digest": receipts.digest(path)}
    for own, other in zip((run.layout.errors(name), *run.layout.curves(name)), imports.network(name)[1:], strict=True):
        write_raw(other.read_bytes(), own)
    weights.save(module, run.layout.weights(name), run.description(section), {**made, ORIGIN: origin})


def import_background_error(run: Run, space: str) -> None:
    """Take the background error of a space. StoreError where it is damaged."""
    theirs = imports_of(run, "spaces", space).theirs.background_error(space)
    store.read_arrays(theirs)
    receipts.write_bytes(run.layout.background_error(space), theirs.read_bytes())


def import_dataset(run: Run, label: str) -> None:
    """Take a part "dataset/20010101-20010301" of states: a link to the other run's store.

    StoreError where that is damaged or lacks some of the times.
    """
    dataset, part = part_of(run, label)
    imports, begin, end = imports_of(run, "datasets", dataset), time(part.begin), time(part.end)
    theirs, own = imports.theirs.dataset(dataset), run.layout.dataset(dataset)
    found = store.open_state(theirs, begin, end)
    if found.channels != run.channels or found.grid.shape != run.grid.shape:
        raise ValueError(f"{theirs} is of other channels or of another grid than this run: make the dataset here")
    require_every_time(run, dataset, part, found)
    _require_content(imports, dataset)
    store.link(theirs, own)
    receipts.write(
        run.layout.dataset_part(dataset, part.name),
        dataset=dataset,
        begin=str(begin),
        end=str(end),
        count=len(found),
        content=store.content_digest(theirs, begin, end),
        **{ORIGIN: {"run": imports.name}},
    )


def _require_content(imports: Imports, dataset: str) -> None:
    """ValueError unless every part of the other run's dataset is what its receipt says."""
    path = imports.theirs.dataset(dataset)
    for receipt in imports.dataset(dataset):
        told = receipts.read(receipt)
        begin, end = (np.datetime64(told[key], "ns") for key in ("begin", "end"))
        if told["content"] != store.content_digest(path, begin, end):
            raise ValueError(f"{path} is not what {receipt} says: run snakemake on that run, which makes it whole")


def imports_of(run: Run, kind: str = "", name: str = "") -> Imports:
    """What the run imports; ValueError where it may not, or where `name` is none of the things of a kind."""
    imports = Imports(run.config)
    if faults := imports.faults():
        raise ValueError("; ".join(faults))
    known: tuple[str, ...] = getattr(imports, kind) if kind else ("",)
    if name not in known:
        raise ValueError(f"'{name}' is none of the {kind} that imports of {run.layout.config} name: {', '.join(known)}")
    return imports


def _require_scales(run: Run, imports: Imports, name: str, made: dict[str, Any]) -> None:
    """ValueError unless a network works in the units of the statistics that are taken with it."""
    theirs = imports.theirs.statistics
    digest = receipts.digest(theirs)
    if made.get("statistics", digest) != digest:
        raise ValueError(
            f"{imports.theirs.weights(name)} was trained in the units of other statistics than {theirs} holds now: "
            "train it again there, or here"
        )
    if receipts.digest(run.layout.statistics) != digest:
        raise ValueError(
            f"{run.layout.statistics} is not {theirs}: run `lara import-statistics --run {run.layout.root}`"
        )


def _require_errors(run: Run, imports: Imports, name: str) -> None:
    """ValueError unless the errors of a network can be read, and reach to the end of every window."""
    path = imports.theirs.errors(name)
    found = read_dataset(path)
    if name == "forecaster" and (last := int(np.max(found["step"].values))) < longest_window(run):
        raise ValueError(
            f"{path} has model errors up to step {last}, and windows here last {longest_window(run)}: train the "
            "forecaster here, or shorten the windows"
        )
