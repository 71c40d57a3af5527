"""Checks of a configuration as a whole: what each section cannot know of the others.

A check yields one line per fault with the key, the value and the remedy. Checks run in order and stop after the first
that finds something, so that each may rely on those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING

from lara.config import cycle_checks
from lara.config.sections import Autoencoder, Forecaster
from lara.variables import VARIABLES

if TYPE_CHECKING:
    from lara.config import Config

Check = Callable[["Config"], Iterator[str]]

TAKEN = (
    ("autoencoders", "forecaster"),
    *(("experiments", name) for name in ("forecasts", "truth", "reconstruction")),
)
TRAINING_DAYS = 30  # fewer give no statistics


def first_faults(config: Config) -> list[str]:
    """Faults of the first check that finds any; empty if the configuration can run."""
    return next((found for check in CHECKS if (found := list(check(config)))), [])


def uses(config: Config) -> Iterator[str]:
    """Data to train on, to validate with and to test with, and enough of the first for statistics."""
    for use in ("training", "validation", "test"):
        if not config.using(use):
            yield f"datasets: none has use '{use}': add one"
    days = sum((d.length for d in config.datasets.values() if d.use == "training"), timedelta()) / timedelta(1)
    if 0 < days < TRAINING_DAYS:
        names = ", ".join(config.using("training"))
        yield f"datasets {names}: {days:g} training days are too few for statistics: give at least {TRAINING_DAYS}"


def members(config: Config) -> Iterator[str]:
    """A member is one trajectory, whatever the year its calendar begins in: one dataset each."""
    if not config.source.has_members:
        return
    for (a, first), (b, second) in combinations(config.datasets.items(), 2):
        if first.member != second.member:
            continue
        if first.begin < second.end and second.begin < first.end:
            clash = f"overlaps datasets.{a} {first.span} of the same member {first.member}"
        else:
            clash = f"repeats datasets.{a} {first.span}, since member {first.member} is the same run in any year"
        yield f"datasets.{b} {second.span} {clash}: give it another member"


def source(config: Config) -> Iterator[str]:
    """Periods of whole days where the source needs them, and whatever else it cannot give."""
    if reason := config.source.whole_days:
        for name, dataset in config.datasets.items():
            for key, moment in (("begin", dataset.begin), ("end", dataset.end)):
                if moment != moment.replace(hour=0, minute=0, second=0, microsecond=0):
                    yield f"datasets.{name}.{key} {moment}: {reason}: choose 00:00 UTC"
    yield from config.source.faults(config)


def names(config: Config) -> Iterator[str]:
    """Folders and files of results carry these names."""
    for key, taken in TAKEN:
        if taken in getattr(config, key):
            yield f"{key}.{taken}: the name is taken by the {taken}: choose another"


def imports(config: Config) -> Iterator[str]:
    """What is to be taken from another run is named here, too."""
    networks = [*config.autoencoders, "forecaster"]
    for key, known in (("networks", networks), ("spaces", config.spaces), ("datasets", [*config.datasets])):
        for name in getattr(config.imports, key) or ():
            if name not in known:
                yield f"imports.{key}: '{name}' is not one of {known}"


def networks(config: Config) -> Iterator[str]:
    """Patches tile the grid, halos reach no further than a neighbour, latent states are no larger than states."""
    for key, chosen in _networks(config):
        network = chosen.network
        for side, size in (("latitudes", config.grid.latitudes), ("longitudes", config.grid.longitudes)):
            if size % network.patch:
                yield (
                    f"grid.{side} {size} does not divide by {key}.network.patch {network.patch}: "
                    "choose a patch that divides the grid"
                )
        if network.halo > network.patch:
            yield (
                f"{key}.network.halo {network.halo} exceeds its patch {network.patch}: choose at most {network.patch}"
            )
        values = len(config.state.channels) * network.patch**2
        if isinstance(chosen, Autoencoder) and chosen.latent_channels > values:
            yield (
                f"{key}.latent_channels {chosen.latent_channels} exceed the {values} values of a patch: "
                f"choose at most {values}"
            )


def forecast_states(config: Config) -> Iterator[str]:
    """Forecasts to train on have increasing lead times that training datasets outlast."""
    shortest = min(config.datasets[name].length for name in config.using("training"))
    for name, autoencoder in config.autoencoders.items():
        if autoencoder.forecast_days is None:
            continue
        key, (first, last) = (
            f"autoencoders.{name}.forecast_days {list(autoencoder.forecast_days)}",
            autoencoder.forecast_days,
        )
        if first >= last:
            yield f"{key} must increase: the usual pair is [1, 10]"
        elif timedelta(days=last) > shortest:
            yield f"{key} run past the end of the shortest training dataset, {shortest}: shorten them"


def channels(config: Config) -> Iterator[str]:
    """Keys that name channels name those there are."""
    state = config.state
    known = {*state.channels, *state.upper_air}
    for key, chosen in _networks(config):
        for name in chosen.training.channel_weights:
            if name not in known:
                yield (
                    f"{key}.training.channel_weights: '{name}' is neither a channel nor a variable of the state "
                    f"{state.channels}: remove it"
                )
    unknown = [name for name in config.verification.headline if name not in state.channels]
    if unknown:
        yield f"verification.headline {unknown} are not among the channels {state.channels}: choose from them"


def observations(config: Config) -> Iterator[str]:
    """Every channel has an error, every error a variable, and the sites find cells of their own."""
    present, given = config.state.channels, config.observations.error_std
    missing = [name for name in present if name not in given and name.rstrip("0123456789") not in given]
    if missing:
        yield f"observations.error_std has no value for {missing}: name the channel or its variable"
    for name in given:
        if name not in present and name not in VARIABLES:
            yield (
                f"observations.error_std.{name} {given[name]:g} is for no variable {tuple(VARIABLES)} and for no "
                f"channel {present}: correct the name"
            )
    most = config.grid.latitudes * config.grid.longitudes // 2
    for key in ("columns", "surface_stations"):
        if (wanted := getattr(config.observations, key)) > most:
            yield f"observations.{key} {wanted} exceed half the cells of the grid: choose at most {most}"


def _networks(config: Config) -> Iterator[tuple[str, Autoencoder | Forecaster]]:
    for name, autoencoder in config.autoencoders.items():
        yield f"autoencoders.{name}", autoencoder
    yield "forecaster", config.forecaster


CHECKS: tuple[Check, ...] = (
    uses,
    members,
    source,
    names,
    imports,
    networks,
    forecast_states,
    channels,
    observations,
    *cycle_checks.CHECKS,
)
