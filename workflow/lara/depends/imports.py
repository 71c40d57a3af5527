"""Imports of a run: which files of another run it takes, and whether both configurations ask for the same there.

For example `Imports(config).faults()` names the key in which a network of that run was trained otherwise. The rules
refuse by it before they plan, and the commands before they take anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lara import config as configuration
from lara.config import Config, ConfigError
from lara.config.experiments import MODEL_SPACE
from lara.depends.inputs import Inputs
from lara.depends.settings import BOOKKEEPING, USE, Settings, Values
from lara.layout import Layout

FORECASTER = "forecaster"  # its name among the networks


@dataclass(frozen=True)
class Imports:
    """What a configuration takes from another run."""

    config: Config

    @property
    def theirs(self) -> Layout:
        """Files of the other run. ValueError where the configuration names none."""
        if self.config.imports.run is None:
            raise ValueError("imports.run is null, nothing is imported: set it to the folder of another run")
        return Layout(Path(self.config.imports.run))

    @property
    def name(self) -> str:
        """Name of the other run: that of its folder."""
        return self.theirs.root.resolve().name

    @cached_property
    def other(self) -> Config:
        """Configuration of the other run; ConfigError where it is not there or cannot be read."""
        return configuration.load(self.theirs.config)

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that are taken."""
        return self._chosen(
            "networks", [*self.config.autoencoders, FORECASTER], lambda: [*self.other.autoencoders, FORECASTER]
        )

    @cached_property
    def spaces(self) -> tuple[str, ...]:
        """Names of the spaces whose background error is taken."""
        return self._chosen(
            "spaces", self.config.spaces, lambda: [s for s in self.config.spaces if not self._foreign(s)]
        )

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets that are taken."""
        return self._chosen("datasets", [*self.config.datasets], lambda: [*self.other.datasets])

    def _chosen(self, key: str, own: list[str], theirs: Callable[[], list[str]]) -> tuple[str, ...]:
        asked = self.config.imports
        if asked.run is None or not self.theirs.config.exists():
            return ()
        named: tuple[str, ...] | None = getattr(asked, key)
        return tuple(name for name in own if name in theirs()) if named is None else named

    def network(self, name: str) -> list[Path]:
        """Files of a network: weights, errors, curves."""
        return [self.theirs.weights(name), self.theirs.errors(name), *self.theirs.curves(name)]

    def dataset(self, name: str) -> list[Path]:
        """Receipts of the parts of a dataset that are needed here."""
        own = self.config.datasets[name]
        return Inputs(self.other, self.theirs).states(name, own.begin, own.end)

    def faults(self) -> list[str]:
        """Reasons to take nothing, a line each; none where nothing is to be taken."""
        if self.config.imports.run is None:
            return []
        origin = f"imports.run {self.config.imports.run}"
        if not self.theirs.config.exists():
            return [f"{origin}: {self.theirs.config} is not there: name the folder of a run that was made"]
        try:
            lines = [f"{line}: make it here, or set the key as it is there" for line in self._different()]
        except ConfigError as fault:
            return [f"{origin}: {fault}"]
        lines += [f"{path} is not there: make it there, or do not import it" for path in self._missing()]
        return [f"{origin}: {line}" for line in lines]

    def _missing(self) -> Iterator[Path]:
        """Files that are to be taken, whatever is asked for, and are not there."""
        forecaster = self.network(FORECASTER) if FORECASTER in self.networks else []
        statistics = [self.theirs.statistics] if self.networks else []
        return (path for path in (*statistics, *forecaster) if not path.exists())

    def _foreign(self, space: str) -> list[str]:
        """Networks of a space that are made here."""
        used = [FORECASTER] if space == MODEL_SPACE else [FORECASTER, space]
        return [name for name in used if name not in self.networks]

    def _different(self) -> Iterator[str]:
        """Keys that the two configurations have other values of, in words."""
        own, other = Settings(self.config).values, Settings(self.other).values
        if self.networks or self.datasets:
            yield from _compare(own, other, ("step_hours", "state", "grid"))
        if self.networks:
            yield from _compare(_trained_on(own), _trained_on(other), ("datasets",))
        for name in self.networks:
            yield from _compare(_network(own, name), _network(other, name), (_key(name),))
        for space in self.spaces:
            for name in self._foreign(space):
                yield f"imports.spaces: '{space}' was made with the {name} there, and that is made here"
            mine, theirs = _covariance(own, space), _covariance(other, space)
            yield from _compare(mine, theirs, list(mine))
        if self.datasets:
            yield from _compare(_source(self.config), _source(self.other), ("source", "seed"))
        for name in self.datasets:
            yield from self._dataset(name)

    def _dataset(self, name: str) -> Iterator[str]:
        """The other run has the member and the times of a dataset."""
        if name not in self.other.datasets:
            yield f"it has no dataset '{name}'"
            return
        own, other = self.config.datasets[name], self.other.datasets[name]
        if self.config.source.has_members and own.member != other.member:
            yield f"datasets.{name}.member is {other.member} there and {own.member} here"
        if not other.begin <= own.begin < own.end <= other.end:
            yield f"datasets.{name} is {other.span} there and {own.span} here, which goes beyond it"


def _compare(own: Values, other: Values, keys: Sequence[str], prefix: str = "") -> Iterator[str]:
    """Keys, in full, whose values differ."""
    for key in keys:
        mine, theirs, name = own.get(key), other.get(key), f"{prefix}{key}"
        if isinstance(mine, dict) and isinstance(theirs, dict):
            yield from _compare(mine, theirs, sorted(mine.keys() | theirs.keys()), f"{name}.")
        elif mine != theirs:
            yield f"{name} is {theirs} there and {mine} here"


def _key(name: str) -> str:
    return FORECASTER if name == FORECASTER else f"autoencoders.{name}"


def _network(values: Values, name: str) -> Values:
    """Section of a network by its key, without what its weights do not depend on; None where there is none."""
    section = values[FORECASTER] if name == FORECASTER else values["autoencoders"].get(name)
    if section is None:
        return {}
    kept: dict[str, Any] = {key: value for key, value in section.items() if key not in USE}
    kept["training"] = {key: value for key, value in section["training"].items() if key not in BOOKKEEPING}
    return {_key(name): kept}


def _trained_on(values: Values) -> Values:
    """Members and periods of the training data."""
    chosen = {name: part for name, part in values["datasets"].items() if part["use"] == "training"}
    return {"datasets": chosen}


def _covariance(values: Values, space: str) -> Values:
    """What a background error depends on beside weights and data, by key."""
    found = {"background_error": values["background_error"]}
    found["forecaster.relaxation_days"] = values[FORECASTER]["relaxation_days"]
    if space != MODEL_SPACE:
        found[f"autoencoders.{space}.corrections"] = values["autoencoders"].get(space, {}).get("corrections")
    return found


def _source(config: Config) -> Values:
    """What states depend on beside their period."""
    own = config.source.model_dump(mode="json", exclude=set(config.source.fetch_only_keys))
    return {"source": own, "seed": config.seed if config.source.has_members else None}
