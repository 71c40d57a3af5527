"""Files that a result is made of, by the names of datasets, networks, spaces and experiments.

For example `Inputs(config, layout).experiment("free")` holds the forecaster and no background error. The rules take
them as inputs, archives state the digests of `stated` and restarts those of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from lara.config import Chunk, Config
from lara.config.experiments import MODEL_SPACE
from lara.depends.parts import Part, parse, parts
from lara.layout import Cycled, Layout


@dataclass(frozen=True)
class Inputs:
    """Paths, below one run, of what its results are made of."""

    config: Config
    layout: Layout

    @cached_property
    def parts(self) -> dict[str, list[Part]]:
        """Parts of every dataset."""
        return {name: parts(self.config, self.layout, name) for name in self.config.datasets}

    def dataset(self, name: str) -> list[Path]:
        """Receipts of a whole dataset."""
        return [self.layout.dataset_part(name, part.name) for part in self.parts[name]]

    def datasets(self, use: str) -> list[Path]:
        """Receipts of all datasets of a use."""
        return [path for name in self.config.using(use) for path in self.dataset(name)]

    def tests(self) -> list[Path]:
        """Receipts of what networks are scored on: the tests of the default target."""
        return [path for name in self.config.default_tests for path in self.dataset(name)]

    def states(self, dataset: str, begin: datetime, end: datetime) -> list[Path]:
        """Receipts of what a dataset holds of [begin, end)."""
        needed = [part for part in self.parts[dataset] if part.overlaps(begin, end)]
        return [self.layout.dataset_part(dataset, part.name) for part in needed]

    def states_of_month(self, dataset: str, month: str) -> list[Path]:
        """Receipts of what a dataset holds of a month such as "2001-01"."""
        begin = datetime.strptime(month, "%Y-%m")
        return self.states(dataset, begin, (begin + timedelta(days=32)).replace(day=1))

    def source(self, dataset: str, part: str) -> list[Path]:
        """What a part of a dataset is made of: the part before it, and what was downloaded for it."""
        own, known = parse(part), self.parts[dataset]
        before = [self.layout.dataset_part(dataset, one.name) for one in known if one.end == own.begin]
        months = self.config.months_of(dataset, own.begin, own.end)
        taken = [one for one in self.config.deliveries(dataset) if one.rpartition("/")[2] in months]
        return [*before, *(self.layout.delivery_receipt(one) for one in taken)]

    def forecasts(self, autoencoder: str) -> list[Path]:
        """Receipt of the forecasts that an autoencoder is trained on, if it is."""
        asked = self.config.autoencoders[autoencoder].forecast_days
        return [self.layout.forecast_states_receipt(autoencoder)] if asked else []

    def weights(self, space: str) -> list[Path]:
        """Weights of a latent space's autoencoder; nothing in model space."""
        return [] if space == MODEL_SPACE else [self.layout.weights(space)]

    def truth(self, experiment: str) -> list[Path]:
        """Receipts of the dataset that an experiment is scored against."""
        return self.dataset(self.config.experiments[experiment].dataset)

    def start(self, experiment: str, first: datetime) -> list[Path]:
        """Receipt of the state from which the first background of windows from `first` on is a forecast."""
        chosen = self.config.experiments[experiment]
        begin = first - timedelta(hours=chosen.background_hours)
        return self.states(chosen.dataset, begin, begin + timedelta(hours=self.config.step_hours))

    def screened(self, dataset: str, begin: datetime, end: datetime) -> list[Path]:
        """Tables of the observations of the slots in [begin, end) of a dataset."""
        return [self.layout.screened(dataset, month) for month in self.config.months_of(dataset, begin, end)]

    def observations(self, experiment: str, begin: datetime, end: datetime) -> list[Path]:
        """Tables of what windows that publish [begin, end) are given: of an earlier slot, too, where they overlap.

        Slots farther apart than states take observations of times around them.
        """
        chosen = self.config.experiments[experiment]
        around = timedelta(hours=(chosen.slot_hours - self.config.step_hours) / 2)
        earlier = timedelta(hours=chosen.overlap * chosen.slot_hours)
        return self.screened(chosen.dataset, begin - earlier - around, end + around)

    def factors(self, experiment: str) -> list[Path]:
        """The factors found for an experiment that names none."""
        return [self.layout.tuning(experiment)] if self.config.experiments[experiment].tuned else []

    def stated(self, experiment: str) -> list[Path]:
        """What an archive states the digests of beside its observations: weights and background error."""
        chosen = self.config.experiments[experiment]
        own = [self.layout.weights("forecaster"), *self.weights(chosen.space)]
        return [*own, self.layout.background_error(chosen.space)] if chosen.variational else own

    def scheme(self, experiment: str) -> list[Path]:
        """All that analyses are made with but the observations: statistics, networks and their errors, B."""
        space = self.config.experiments[experiment].space
        errors = [self.layout.errors(name) for name in ("forecaster", *([] if space == MODEL_SPACE else [space]))]
        return [self.layout.statistics, *self.stated(experiment), *errors]

    def experiment(self, experiment: str) -> list[Path]:
        """All that a cycled experiment is made of."""
        begin, end = self.config.period(experiment)
        own = [*self.scheme(experiment), *self.factors(experiment)]
        return [*own, *self.start(experiment, begin), *self.observations(experiment, begin, end)]

    def chunk(self, experiment: str, chunk: Chunk) -> list[Path]:
        """All that a chunk of a stream is made of."""
        stream = self.config.production.streams[experiment][chunk.stream]
        own = [*self.scheme(experiment), *self.factors(experiment), *self.restart(experiment, chunk)]
        return [*own, *self.start(experiment, stream.first), *self.observations(experiment, chunk.begin, chunk.end)]

    def tuned_on(self) -> list[Path]:
        """States and observations that factors are searched on."""
        search = self.config.tuning
        begin = self.config.datasets[search.dataset].begin
        end = begin + timedelta(hours=search.background_hours, days=search.days)
        step = timedelta(hours=self.config.step_hours)
        first = self.states(search.dataset, begin, begin + step)
        return [*first, *self.screened(search.dataset, begin - step, end + step)]

    def windows(self, experiment: str) -> list[Path]:
        """All that the windows of an experiment are made of, once it is cycled."""
        return [*self.experiment(experiment), self.layout.archive_receipt(experiment)]

    def restart(self, experiment: str, chunk: Chunk) -> list[Path]:
        """What the chunk before leaves; nothing for the first of its stream."""
        return [] if chunk.before is None else [self.layout.chunk(experiment, chunk.stream, chunk.before).restart]

    def published(self, experiment: str) -> Iterator[Cycled]:
        """Files of every chunk whose times an experiment's archive holds."""
        for chunk in self.config.production.chunks(experiment):
            if chunk.published:
                yield self.layout.chunk(experiment, chunk.stream, chunk.name)

    def spin_ups(self) -> list[Path]:
        """Archives of the suite `production` that are cycled and not published."""
        chunks = [
            (name, part) for name in self.config.suite("production") for part in self.config.production.chunks(name)
        ]
        return [
            self.layout.chunk(n, part.stream, part.name).archive_receipt for n, part in chunks if not part.published
        ]

    def size(self, experiment: str) -> list[Path]:
        """What is compared of an experiment of the suite `sizes`."""
        space = self.config.experiments[experiment].space
        scored = [self.layout.scores(experiment), self.layout.network_scores(space)]
        return [*scored, self.layout.background_error(space)]

    def bootstrap(self, experiment: str) -> list[Path]:
        """What is compared of an experiment of the suite `bootstrap` and of its reference."""
        space = self.config.experiments[experiment].space
        scored = [self.layout.scores(experiment), self.layout.forecast_scores(experiment)]
        return [*scored, self.layout.network_scores(space)]
