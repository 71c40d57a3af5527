"""Checks of a configuration as a whole: what each section cannot know of the others.

A check yields one line per fault with the key, the value and the remedy. Checks run in order and stop after the first
that finds something, so that each may rely on those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING

from lara.config.experiments import Experiment
from lara.config.sections import Autoencoder, Forecaster
from lara.variables import VARIABLES

if TYPE_CHECKING:
    from lara.config import Config

Check = Callable[["Config"], Iterator[str]]

SIMULATED_STEP_HOURS = 6
LATITUDES = {21: 32, 31: 48, 42: 64, 63: 96, 85: 128}  # Gaussian rows by truncation; twice as many longitudes
TRAINING_DAYS = 30  # fewer give no statistics
FORECASTS = 4  # fewer give no interval
VARIATIONAL = ("l4dvar", "l3dvar")


def first_faults(config: Config) -> list[str]:
    """Faults of the first check that finds any; empty if the configuration can run."""
    return next((found for check in CHECKS if (found := list(check(config)))), [])


def uses(config: Config) -> Iterator[str]:
    """Data to train on, to validate with and to test with, and enough of the first for statistics."""
    for use in ("training", "validation", "test"):
        if not config.using(use):
            yield f"datasets: none has use '{use}': add one"
    days = sum((d.end - d.begin for d in config.datasets.values() if d.use == "training"), timedelta()) / timedelta(1)
    if 0 < days < TRAINING_DAYS:
        names = ", ".join(config.using("training"))
        yield f"datasets {names}: {days:g} training days are too few for statistics: give at least {TRAINING_DAYS}"


def members(config: Config) -> Iterator[str]:
    """A simulated member is one trajectory, whatever the year its calendar begins in: one dataset each."""
    for (a, first), (b, second) in combinations(config.datasets.items(), 2):
        if first.member != second.member:
            continue
        if first.begin < second.end and second.begin < first.end:
            clash = f"overlaps datasets.{a} {first.span} of the same member {first.member}"
        else:
            clash = f"repeats datasets.{a} {first.span}, since member {first.member} is the same run in any year"
        yield f"datasets.{b} {second.span} {clash}: give it another member"


def source(config: Config) -> Iterator[str]:
    """The simulated atmosphere makes whole days of 6-hourly states on the Gaussian grid of its truncation."""
    if config.step_hours != SIMULATED_STEP_HOURS:
        yield f"step_hours {config.step_hours}: the simulated source has a state every 6 h: set step_hours: 6"
    for name, dataset in config.datasets.items():
        for key, moment in (("begin", dataset.begin), ("end", dataset.end)):
            if moment != moment.replace(hour=0, minute=0, second=0, microsecond=0):
                yield f"datasets.{name}.{key} {moment}: the simulated source makes whole days: choose 00:00 UTC"
    rows = LATITUDES.get(config.source.truncation)
    if rows is None:
        yield f"source.truncation {config.source.truncation} is not available: choose one of {sorted(LATITUDES)}"
    elif (found := (config.grid.kind, config.grid.latitudes, config.grid.longitudes)) != ("gaussian", rows, 2 * rows):
        yield (
            f"grid {found}: the simulated source at truncation {config.source.truncation} has a gaussian grid of "
            f"{rows} x {2 * rows}: set grid.kind, grid.latitudes and grid.longitudes to it"
        )


def names(config: Config) -> Iterator[str]:
    """Folders and files of results carry these names."""
    for key, taken in (("autoencoders", "forecaster"), ("experiments", "forecasts")):
        if taken in getattr(config, key):
            yield f"{key}.{taken}: the name is taken by the {taken}: choose another"


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


def background_leads(config: Config) -> Iterator[str]:
    """Two lead times the forecaster reaches."""
    short, long = config.background_error.lead_hours
    if short >= long or short % config.step_hours or long % config.step_hours:
        yield (
            f"background_error.lead_hours {[short, long]} must increase and be multiples of step_hours "
            f"{config.step_hours}: the usual pair is [24, 48]"
        )


def experiments(config: Config) -> Iterator[str]:
    """Every experiment has its autoencoder, and whole windows within a test dataset."""
    for name, experiment in config.experiments.items():
        yield from _experiment(config, f"experiments.{name}", experiment)


def _experiment(config: Config, key: str, experiment: Experiment) -> Iterator[str]:
    step, dataset = config.step_hours, config.datasets.get(experiment.dataset)
    if experiment.autoencoder is not None and experiment.autoencoder not in config.autoencoders:
        yield f"{key}.autoencoder '{experiment.autoencoder}' is not one of {list(config.autoencoders)}"
    if dataset is None or dataset.use != "test":
        yield f"{key}.dataset '{experiment.dataset}' is not one of the test datasets {config.using('test')}"
    elif dataset.begin + timedelta(hours=experiment.background_hours, days=experiment.days) > dataset.end:
        yield f"{key}.days {experiment.days} run past the end of datasets.{experiment.dataset}: shorten it"
    if experiment.background_hours % step:
        yield f"{key}.background_hours {experiment.background_hours} is no multiple of step_hours {step}"
    if experiment.days * 24 % (experiment.slots * step):
        yield f"{key}: {experiment.days} days are not a whole number of windows of {experiment.slots} slots"


def reference(config: Config) -> Iterator[str]:
    """The reference has an increment and an autoencoder to show, and the others are scored over the same times."""
    name = config.verification.reference
    if name not in config.experiments:
        yield f"verification.reference '{name}' is not one of {list(config.experiments)}"
        return
    shown = config.experiments[name]
    if shown.method not in VARIATIONAL:
        yield (
            f"verification.reference '{name}' has method {shown.method}, which makes no analysis increment in a "
            f"latent space: name an experiment of method {' or '.join(VARIATIONAL)}"
        )
    for other, experiment in config.experiments.items():
        for key in ("dataset", "background_hours", "days"):
            own, wanted = getattr(experiment, key), getattr(shown, key)
            if own != wanted:
                yield (
                    f"experiments.{other}.{key} {own} differs from {wanted} of the reference experiments.{name}, "
                    "and scores are compared over the same times: give both the same"
                )


def verification(config: Config) -> Iterator[str]:
    """Something is left to score after the spin-up, and enough forecasts fit."""
    chosen, shown = config.verification, config.experiments[config.verification.reference]
    step, window = config.step_hours, config.step_hours * shown.slots
    if chosen.spin_up_days >= shown.days:
        yield f"verification.spin_up_days {chosen.spin_up_days} leave nothing of {shown.days} days: shorten them"
    if chosen.lead_days * 24 % step:
        yield f"verification.lead_days {chosen.lead_days:g} are no whole number of steps of {step} h: choose a multiple"
    if chosen.forecast_every_days * 24 % window:
        yield (
            f"verification.forecast_every_days {chosen.forecast_every_days:g} are no whole number of windows of "
            f"{window} h of experiments.{chosen.reference}, whose last slots forecasts start from: choose a multiple"
        )
    elif chosen.spin_up_days < shown.days and (count := _forecasts(config)) < FORECASTS:
        yield (
            f"verification.lead_days {chosen.lead_days:g} and forecast_every_days {chosen.forecast_every_days:g}: "
            f"{count} forecasts fit between the spin-up and the end of datasets.{shown.dataset}, {FORECASTS} are "
            "needed: shorten either, or lengthen experiments and dataset"
        )


def _forecasts(config: Config) -> int:
    """How many forecasts start at the last slot of a window after the spin-up and end within the dataset."""
    chosen, shown = config.verification, config.experiments[config.verification.reference]
    begin, _ = config.period(chosen.reference)
    step, window = config.step_hours, config.step_hours * shown.slots
    last_state = (config.datasets[shown.dataset].end - begin) / timedelta(hours=1) - step
    starts = [start for start in range(window - step, 24 * shown.days, window) if start >= 24 * chosen.spin_up_days]
    every = round(chosen.forecast_every_days * 24 / window)
    return sum(start + 24 * chosen.lead_days <= last_state for start in starts[::every])


def _networks(config: Config) -> Iterator[tuple[str, Autoencoder | Forecaster]]:
    for name, autoencoder in config.autoencoders.items():
        yield f"autoencoders.{name}", autoencoder
    yield "forecaster", config.forecaster


CHECKS: tuple[Check, ...] = (
    uses,
    members,
    source,
    names,
    networks,
    channels,
    observations,
    background_leads,
    experiments,
    reference,
    verification,
)
