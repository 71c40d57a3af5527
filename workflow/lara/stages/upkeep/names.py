"""Names that configurations give, and everything that the layout keeps under them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lara.config import Config
from lara.layout import Cycled, Layout

CHUNK = re.compile(r"\d{8}T\d\d")
KINDS = ("datasets", "autoencoders", "experiments", "single_observations")


@dataclass(frozen=True)
class Names:
    """Names that a configuration gives; `streams` by experiment.

    chunks: those of the streams (experiment, stream, chunk); None for whatever lies there.
    """

    datasets: frozenset[str]
    autoencoders: frozenset[str]
    experiments: frozenset[str]
    cases: frozenset[str]
    streams: Mapping[str, tuple[str, ...]]
    chunks: frozenset[tuple[str, str, str]] | None = None


def present(config: Config) -> Names:
    """Names of a configuration, chunk by chunk."""
    streams = {name: tuple(parts) for name, parts in config.production.streams.items()}
    chunks = [(name, one.stream, one.name) for name in streams for one in config.production.chunks(name)]
    datasets, autoencoders, experiments, cases = (frozenset[str](getattr(config, kind)) for kind in KINDS)
    return Names(datasets, autoencoders, experiments, cases, streams, frozenset(chunks))


def names_in(file: Path) -> Names | None:
    """Names of a configuration on disk, be it of another version of LARA; None for what cannot be read."""
    try:
        values = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if not isinstance(values, dict):
        return None
    streams = _section(_section(values, "production"), "streams")
    chosen = {name: tuple(parts) for name, parts in streams.items() if isinstance(parts, dict)}
    datasets, autoencoders, experiments, cases = (frozenset(_section(values, kind)) for kind in KINDS)
    return Names(datasets, autoencoders, experiments, cases, chosen)


def files(layout: Layout, names: Names) -> Iterator[Path]:
    """Everything that is kept under names, there or not; not what was downloaded."""
    for name in names.datasets:
        yield from (layout.dataset_part(name, "x").parent, *_store(layout.dataset(name)))
        yield layout.observations(name, "x").parent
    for name in names.autoencoders:
        yield from (layout.weights(name), *layout.curves(name), layout.errors(name), layout.training(name))
        yield layout.network_scores(name)
        yield from (layout.background_error(name), layout.forecast_states_receipt(name))
        for dataset in names.datasets:
            yield from _store(layout.forecast_states(name, dataset))
    for name in names.experiments:
        yield from _experiment(layout, name)
        for stream in names.streams.get(name, ()):
            yield from _stream(layout, names, name, stream)
    yield from map(layout.increments, names.cases)


def _section(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _store(path: Path) -> Iterator[Path]:
    """A store of states and what seals it."""
    yield from (path.with_name(f"{path.name}.receipts"), path)


def _experiment(layout: Layout, name: str) -> Iterator[Path]:
    """All of an experiment but its chunks."""
    yield from _cycled(layout.cycled(name))
    yield from (layout.archive(name).parent / "versions" / name, layout.monthly_means(name))
    yield from (layout.tuning(name), layout.tuning_trials(name))
    yield from (layout.scores(name), layout.forecast_scores(name), layout.structure(name))
    yield from (layout.finished_scores(name), layout.local_time_scores(name), layout.innovations(name))
    yield from (layout.ensemble_scores(name), layout.finished_ensemble_scores(name))


def _cycled(part: Cycled) -> Iterator[Path]:
    yield from (part.archive_receipt, part.archive, part.lock, part.feedback, part.health, part.timings)
    yield from (part.members, part.restart, part.work)


def _stream(layout: Layout, names: Names, name: str, stream: str) -> Iterator[Path]:
    """Files of the chunks of a stream: of those that are named, or of all that lie there."""
    example = layout.chunk(name, stream, "x")
    folders = [folder for folder in (example.archive.parent, example.folder.parent) if folder.is_dir()]
    there = {path.name.split(".")[0] for folder in folders for path in folder.iterdir()}
    named = {chunk for own, part, chunk in names.chunks or () if (own, part) == (name, stream)}
    for chunk in filter(CHUNK.fullmatch, there) if names.chunks is None else named:
        yield from _cycled(layout.chunk(name, stream, chunk))
