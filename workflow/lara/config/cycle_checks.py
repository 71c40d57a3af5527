"""Checks across the sections that describe cycled experiments, their tuning and their verification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from lara.config.experiments import LATENT, Experiment
from lara.variables import VARIABLES

if TYPE_CHECKING:
    from lara.config import Config, Stream

FORECASTS = 4  # fewer give no interval


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
    for part in ("background_hours", "slot_hours"):
        if getattr(experiment, part) % step:
            yield f"{key}.{part} {getattr(experiment, part)} is no multiple of step_hours {step}"
    if (24 * experiment.days - experiment.overlap * experiment.slot_hours) % experiment.window_hours:
        yield (
            f"{key}: {experiment.days} days are not a whole number of windows of {experiment.slots} slots, "
            f"{experiment.window_hours} h apart"
        )


def streams(config: Config) -> Iterator[str]:
    """Streams tile the period of a known experiment, and are cut where windows and shards are."""
    for name, parts in config.production.streams.items():
        key = f"production.streams.{name}"
        if name not in config.experiments:
            yield f"{key}: '{name}' is not one of the experiments {list(config.experiments)}"
        elif not parts:
            yield f"{key} names no stream: name some or remove it"
        else:
            yield from _tiles(config, key, name)
            yield from (fault for stream in parts for fault in _stream(config, f"{key}.{stream}", name, parts[stream]))


def _tiles(config: Config, key: str, name: str) -> Iterator[str]:
    begin, end = config.period(name)
    for stream, one in config.production.streams[name].items():
        if one.begin != begin:
            yield f"{key}.{stream}.begin {one.begin} must be {begin}: streams tile the experiment's period in order"
        begin = one.end
    if begin != end:
        yield f"{key}: the last stream ends at {begin}, the experiment at {end}: move its end or change `days`"


def _stream(config: Config, key: str, name: str, stream: Stream) -> Iterator[str]:
    chosen, (period, _) = config.experiments[name], config.period(name)
    truth = config.datasets[chosen.dataset].begin
    if stream.first - timedelta(hours=chosen.background_hours) < truth:
        yield (
            f"{key}.spin_up_days {stream.spin_up_days}: its first background, {chosen.background_hours} h old, would "
            f"come from before datasets.{chosen.dataset} begins at {truth}: shorten the spin-up"
        )
    shared, shard = timedelta(hours=chosen.overlap * chosen.slot_hours), timedelta(hours=max(24, chosen.slot_hours))
    window = timedelta(hours=chosen.window_hours)
    for begin, end in zip(stream.cuts, stream.cuts[1:], strict=False):
        if (end - stream.first - shared) % window:
            yield f"{key}: a job would end at {end}, within a window of {chosen.window_hours} h: set chunk_days to fit"
        elif (end - period) % shard and end >= stream.begin:
            yield f"{key}: a job would end at {end}, within a day of the archive from {period}: set chunk_days to fit"
        elif end - begin < timedelta(hours=2 * chosen.slot_hours):
            yield f"{key}: the job [{begin}, {end}) holds fewer than two times: set longer chunk_days"


def reference(config: Config) -> Iterator[str]:
    """The reference has an increment and a latent space to show, and suites are scored over the same times."""
    name = config.verification.reference
    if name not in config.suite("reanalysis"):
        yield f"verification.reference '{name}' is not one of {config.suite('reanalysis')}"
        return
    shown = config.experiments[name]
    if shown.method not in LATENT:
        yield (
            f"verification.reference '{name}' has method {shown.method}, which makes no analysis increment in a "
            f"latent space: name an experiment of method {' or '.join(LATENT)}"
        )
    yield from _same_times(config, "reanalysis", name)
    for suite in ("osse", "ensemble", "sizes", "production"):
        chosen, known = getattr(config, suite).reference, config.suite(suite)
        if chosen is None and known and suite == "osse":
            yield f"{suite}.reference is not set: name one of the suite's experiments {known}"
        elif chosen is not None and chosen not in known:
            yield f"{suite}.reference '{chosen}' is not one of the suite's experiments {known}"
        elif known:
            yield from _same_times(config, suite, chosen or known[0])
    yield from _bootstrap(config)


def _bootstrap(config: Config) -> Iterator[str]:
    """Autoencoders trained on forecasts are set beside one that is not, in an experiment of another suite."""
    chosen, known = config.bootstrap.reference, config.suite("bootstrap")
    others = [name for name, e in config.experiments.items() if name not in known and e.method in LATENT]
    if chosen is not None and chosen not in others:
        yield f"bootstrap.reference '{chosen}' is not one of the latent experiments of other suites {others}"
    elif chosen is None and known:
        yield f"bootstrap.reference is not set: name one of the latent experiments of other suites {others}"
    elif chosen is not None:
        yield from _same_times(config, "bootstrap", chosen)
    for name in known:
        if (method := config.experiments[name].method) not in LATENT:
            yield f"experiments.{name}.method {method}: suite `bootstrap` compares latent spaces: use one of {LATENT}"


def _same_times(config: Config, suite: str, name: str) -> Iterator[str]:
    shown = config.experiments[name]
    for other in config.suite(suite):
        for key in ("dataset", "background_hours", "days"):
            own, wanted = getattr(config.experiments[other], key), getattr(shown, key)
            if own != wanted:
                yield (
                    f"experiments.{other}.{key} {own} differs from {wanted} of the reference experiments.{name}, "
                    "and scores are compared over the same times: give both the same"
                )


def spin_ups(config: Config) -> Iterator[str]:
    """Something is left to score."""
    for name, experiment in config.experiments.items():
        if (days := config.spin_up_days(name)) >= experiment.days:
            yield (
                f"{'verification' if experiment.suite == 'reanalysis' else experiment.suite}.spin_up_days {days} leave "
                f"nothing of the {experiment.days} days of experiments.{name}: shorten them"
            )


def verification(config: Config) -> Iterator[str]:
    """Enough forecasts fit after the spin-up."""
    chosen, shown = config.verification, config.experiments[config.verification.reference]
    step, window = config.step_hours, shown.window_hours
    if chosen.lead_days * 24 % step:
        yield f"verification.lead_days {chosen.lead_days:g} are no whole number of steps of {step} h: choose a multiple"
    if chosen.forecast_every_days * 24 % window:
        yield (
            f"verification.forecast_every_days {chosen.forecast_every_days:g} are no whole number of windows of "
            f"{window} h of experiments.{chosen.reference}, whose last slots forecasts start from: choose a multiple"
        )
    elif (count := _forecasts(config)) < FORECASTS:
        yield (
            f"verification.lead_days {chosen.lead_days:g} and forecast_every_days {chosen.forecast_every_days:g}: "
            f"{count} forecasts fit between the spin-up and the end of datasets.{shown.dataset}, {FORECASTS} are "
            "needed: shorten either, or lengthen experiments and dataset"
        )


def _forecasts(config: Config) -> int:
    """How many forecasts start at the last slot of a window after the spin-up and end within the dataset."""
    chosen, shown = config.verification, config.experiments[config.verification.reference]
    begin, _ = config.period(chosen.reference)
    step, window = config.step_hours, shown.window_hours
    last_state = (config.datasets[shown.dataset].end - begin) / timedelta(hours=1) - step
    starts = [start for start in range(shown.span_hours, 24 * shown.days, window) if start >= 24 * chosen.spin_up_days]
    every = round(chosen.forecast_every_days * 24 / window)
    return sum(start + 24 * chosen.lead_days <= last_state for start in starts[::every])


def tuning(config: Config) -> Iterator[str]:
    """Where an experiment is to be tuned, the search fits a validation dataset and every window."""
    tuned = {name: experiment for name, experiment in config.experiments.items() if experiment.tuned}
    if not tuned:
        return
    search = config.tuning
    dataset = config.datasets.get(search.dataset)
    if dataset is None or dataset.use != "validation":
        yield f"tuning.dataset '{search.dataset}' is not one of the validation datasets {config.using('validation')}"
    elif dataset.begin + timedelta(hours=search.background_hours, days=search.days) > dataset.end:
        yield f"tuning.days {search.days} run past the end of datasets.{search.dataset}: shorten it"
    if search.background_hours % config.step_hours:
        yield f"tuning.background_hours {search.background_hours} is no multiple of step_hours {config.step_hours}"
    if search.spin_up_days >= search.days:
        yield f"tuning.spin_up_days {search.spin_up_days} leave nothing of {search.days} days: shorten them"
    for name, experiment in tuned.items():
        if (24 * search.days - experiment.overlap * experiment.slot_hours) % experiment.window_hours:
            yield f"tuning.days {search.days} are not a whole number of windows of experiments.{name}"


def single_observations(config: Config) -> Iterator[str]:
    """Cases observe channels there are, and experiments that can show them are named."""
    for name, case in config.single_observations.items():
        channel = case.variable + ("" if case.level is None else str(case.level))
        if case.variable not in VARIABLES or channel not in config.state.channels:
            yield f"single_observations.{name}: '{channel}' is not among the channels {config.state.channels}"
    if config.single_observations and not config.observed_once:
        yield "observed_once names no experiment, but there are single_observations: name some"
    for name in config.observed_once:
        if name not in config.experiments or not config.experiments[name].variational:
            known = [key for key, experiment in config.experiments.items() if experiment.variational]
            yield f"observed_once: '{name}' is not one of the variational experiments {known}"


CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (
    background_leads,
    experiments,
    streams,
    reference,
    spin_ups,
    verification,
    tuning,
    single_observations,
)
