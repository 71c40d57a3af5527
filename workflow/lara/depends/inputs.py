"""Files that a result is made of, by the names of datasets, networks, spaces and experiments.

For example `Inputs(config, layout).experiment("free")` holds the forecaster and no background error. The rules take
them as inputs, archives state the digests of `stated` and restarts those of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lara.config import Chunk, Config
from lara.config.experiments import MODEL_SPACE
from lara.layout import Cycled, Layout


@dataclass(frozen=True)
class Inputs:
    """Paths, below one run, of what its results are made of."""

    config: Config
    layout: Layout

    def datasets(self, use: str) -> list[Path]:
        """Receipts of all datasets of a use."""
        return [self.layout.dataset_receipt(name) for name in self.config.using(use)]

    def tests(self) -> list[Path]:
        """Receipts of what networks are scored on: the tests of the default target."""
        return [self.layout.dataset_receipt(name) for name in self.config.default_tests]

    def deliveries(self, dataset: str) -> list[Path]:
        """Receipts of all that is downloaded for a dataset; nothing from other sources."""
        return [self.layout.delivery_receipt(delivery) for delivery in self.config.deliveries(dataset)]

    def forecasts(self, autoencoder: str) -> list[Path]:
        """Receipt of the forecasts that an autoencoder is trained on, if it is."""
        asked = self.config.autoencoders[autoencoder].forecast_days
        return [self.layout.forecast_states_receipt(autoencoder)] if asked else []

    def weights(self, space: str) -> list[Path]:
        """Weights of a latent space's autoencoder; nothing in model space."""
        return [] if space == MODEL_SPACE else [self.layout.weights(space)]

    def truth(self, experiment: str) -> Path:
        """Receipt of the dataset that an experiment is scored against."""
        return self.layout.dataset_receipt(self.config.experiments[experiment].dataset)

    def factors(self, experiment: str) -> list[Path]:
        """The factors found for an experiment that names none."""
        return [self.layout.tuning(experiment)] if self.config.experiments[experiment].tuned else []

    def stated(self, experiment: str) -> list[Path]:
        """What an archive states the digests of: weights, screened observations and background error."""
        chosen = self.config.experiments[experiment]
        own = [self.layout.weights("forecaster"), self.layout.screened(chosen.dataset), *self.weights(chosen.space)]
        return [*own, self.layout.background_error(chosen.space)] if chosen.variational else own

    def scheme(self, experiment: str) -> list[Path]:
        """All that analyses are made with but the observations: statistics, networks and their errors, B."""
        space = self.config.experiments[experiment].space
        errors = [self.layout.errors(name) for name in ("forecaster", *([] if space == MODEL_SPACE else [space]))]
        screened = self.layout.screened(self.config.experiments[experiment].dataset)
        made = [path for path in self.stated(experiment) if path != screened]
        return [self.layout.statistics, *made, *errors]

    def experiment(self, experiment: str) -> list[Path]:
        """All that a cycled experiment is made of."""
        screened = self.layout.screened(self.config.experiments[experiment].dataset)
        return [*self.scheme(experiment), *self.factors(experiment), self.truth(experiment), screened]

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
