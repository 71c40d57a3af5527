"""Keys of the configuration that a result depends on: a change of their values makes it again, any other does not.

For example `Settings(config).experiment("l4dvar")` holds the keys of the minimiser and not those of figures. The rules
take these values as parameters, archives and restarts state `analyses` of the same.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lara.config import Cds, Chunk, Config
from lara.config.experiments import MODEL_SPACE
from lara.depends.stated import stated

# Keys of an experiment that change no analysis: which jobs are asked for, and whether they stop at one that fails. What
# they have published stays, and a job that stopped goes on from its last checkpoint, when these are changed.
CUTTING = ("days", "suite", "on_failure", "most_failures")
USE = ("corrections", "relaxation_days")  # keys of a network that its weights do not depend on
BOOKKEEPING = ("checkpoint_every", "validate_every", "validation_samples", "precision")  # of a training, likewise
SCHEME = ("method", "latent_covariance", "slots", "slot_hours", "overlap", "increment_form", "model_error")
Values = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """Values, as JSON, of the keys that results depend on beyond their inputs, as far as they state anything."""

    config: Config

    @cached_property
    def values(self) -> Values:
        """The whole configuration."""
        return self.config.model_dump(mode="json")

    @cached_property
    def stated(self) -> Values:
        """What the whole configuration states."""
        return stated(self.config)

    def of(self, *keys: str) -> Values:
        """What keys such as "forecaster" or "autoencoders.main" state; KeyError for one that there is not."""
        return {key: copy.deepcopy(_value(self.values, self.stated, key.split("."))) for key in keys}

    def dataset(self, name: str) -> Values:
        """Of the states of a dataset: where it begins and not where it ends, which is the name of a part."""
        own = stated(self.config.datasets[name], {"use", "end"})
        seed = ["seed"] if self.config.source.has_members else []
        return {"dataset": own, **self.of(*seed, "step_hours", "state", "grid"), **self.source()}

    def source(self) -> Values:
        """Of states of a source: not the keys for fetching them, which change no value."""
        return {"source": stated(self.config.source, self.config.source.fetch_only_keys)}

    def delivery(self, name: str) -> Values:
        """Of a delivery "dataset/product/month"; all that its states depend on where GRIB is not kept.

        States cannot be made again of GRIB that is gone.
        """
        dataset, product, month = name.split("/")
        source = self.source()["source"]
        assert isinstance(self.config.source, Cds)
        asked = {"source": {key: source.get(key) for key in ("kind", "grid", "preliminary")}}
        own = asked if self.config.source.keep else {"source": source, **self.of("grid")}
        channels = ("levels", "upper_air") if product == "pressure-levels" else ("surface",)
        chosen = self.of("step_hours", *(f"state.{key}" for key in channels))
        return own | chosen | {"days": self.config.days(dataset, month)}

    def autoencoder(self, name: str) -> Values:
        """Of the weights of an autoencoder, beside the states or forecasts they are trained on."""
        own = self.of("seed", f"autoencoders.{name}")
        for key in ("corrections", "forecast_days"):
            own[f"autoencoders.{name}"].pop(key, None)
        return own

    def forecaster(self) -> Values:
        """Of the weights of the forecaster."""
        own = self.of("seed", "forecaster")
        own["forecaster"].pop("relaxation_days", None)
        return own

    def imported_network(self, name: str) -> Values:
        """Of a network that is taken from another run."""
        own = self.forecaster() if name == "forecaster" else self.autoencoder(name)
        return {**self.of("imports.run", "state", "grid"), **{key: own[key] for key in own if key != "seed"}}

    def corrections(self, space: str) -> int | None:
        """Of an encoding, beyond the weights; None in model space."""
        return None if space == MODEL_SPACE else self.config.autoencoders[space].corrections

    def analyses(self, name: str) -> Values:
        """Of the analyses of an experiment, beyond its own keys. Screening's are in what it leaves."""
        chosen = self.config.experiments[name]
        minimised = ["minimiser", "quality_control.background_check", "quality_control.huber"]
        found = self.of("seed", "step_hours", "grid", "state", *(minimised if chosen.variational else []))
        found["relaxation_days"] = self.config.forecaster.relaxation_days
        found["corrections"] = self.corrections(chosen.space)
        found["headline"] = list(self.config.verification.headline) if chosen.has_spread else None
        return found

    def cycled(self, name: str) -> Values:
        """Of what cycling leaves of any stretch of an experiment: rules plan by it, and restarts belong to it."""
        own = stated(self.config.experiments[name], CUTTING)
        archived = stated(self.config.archive, {"attributes"})
        return {"experiment": own, "archive": archived, "analyses": self.analyses(name)}

    def attribution(self, name: str) -> Values:
        """Of what an archive says of itself and no analysis depends on."""
        return self.of("name", "archive.attributes", f"experiments.{name}.method") | self.source()

    def experiment(self, name: str) -> Values:
        """Of all that a cycled experiment leaves, its length too; which suite asks for it is no such thing."""
        return self.cycled(name) | {"experiment": stated(self.config.experiments[name], set(CUTTING) - {"days"})}

    def chunk(self, name: str, chunk: Chunk) -> Values:
        """Of a cycled chunk: where it and its stream begin, not where others end."""
        first = self.config.production.streams[name][chunk.stream].first
        return self.cycled(name) | {"chunk": [str(moment) for moment in (first, chunk.begin, chunk.end)]}

    def tuning(self, name: str) -> Values:
        """Of a search for factors: the scheme of an experiment, not the period it is for."""
        own = self.of("step_hours", "forecaster.relaxation_days", "minimiser", "tuning", "quality_control.huber")
        chosen = self.config.experiments[name]
        own["corrections"] = self.corrections(chosen.space)
        return own | {key: getattr(chosen, key) for key in SCHEME}

    def structure(self, name: str) -> Values:
        """Of the structure of an experiment's analyses: the times that are looked at."""
        days = self.config.spin_up_days(name)
        return {"spin_up_days": days, **self.of("verification", "forecaster.relaxation_days")}


def _value(values: Values, said: Any, path: list[str]) -> Any:
    """What a key states, None where that is nothing; KeyError for one that is not among all values."""
    if not path:
        return said
    return _value(values[path[0]], None if said is None else said.get(path[0]), path[1:])
