"""The checked configuration, the run's paths, and what every rule uses."""

import copy
import os
import sys
from pathlib import Path

from lara import config as configuration
from lara.cli import FROZEN_CONFIG
from lara.config.experiments import MODEL_SPACE
from lara.experiment.code import ARCHIVING, CYCLING, code_digest
from lara.layout import Layout
from lara.receipts import digest

try:
    CONFIG = configuration.parse(config)
except configuration.ConfigError as fault:
    raise WorkflowError(str(fault)) from None

VALUES = CONFIG.model_dump(mode="json")
RUN = Layout(Path("results") / CONFIG.name)

# Jobs, and the Snakemake that a cluster's job starts for its part, read the configuration from here, so that it does not
# matter what becomes of the user's file while they wait.
FROZEN = RUN.frozen_config(digest(VALUES))
workflow.config_settings.configfiles = [FROZEN.absolute()]
os.environ |= {FROZEN_CONFIG: str(FROZEN)}
# `lara` beside the interpreter that runs Snakemake, whether or not its environment is activated
os.environ |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

DEFAULT_AUTOENCODERS = CONFIG.default_autoencoders
TRANSFORMERS = [name for name in DEFAULT_AUTOENCODERS if CONFIG.autoencoders[name].kind == "transformer"]
SIMULATED = CONFIG.source.kind == "simulated"
DEFAULT_DATASETS = [*CONFIG.using("training"), *CONFIG.using("validation"), *CONFIG.default_tests]
EXPERIMENTS = list(CONFIG.experiments)
REANALYSIS, OSSE, PRODUCTION = map(CONFIG.suite, ("reanalysis", "osse", "production"))
OF_FORECASTS = [name for name, autoencoder in CONFIG.autoencoders.items() if autoencoder.forecast_days]
ENSEMBLES = [name for name, experiment in CONFIG.experiments.items() if experiment.has_spread]
TUNED = [name for name, experiment in CONFIG.experiments.items() if experiment.tuned]
STREAMED = list(CONFIG.production.streams)
CHUNKS = {(name, chunk.stream, chunk.name): chunk for name in STREAMED for chunk in CONFIG.production.chunks(name)}
SPIN_UPS = [  # of the suite `production`: chunks that are cycled and not published
    RUN.chunk(*key).archive_receipt for key, chunk in CHUNKS.items() if key[0] in PRODUCTION and not chunk.published
]
REFERENCE = CONFIG.verification.reference
LINEAR = [name for name in DEFAULT_AUTOENCODERS if name not in TRANSFORMERS]
STRUCTURES = [RUN.structure(source) for source in ("truth", "reconstruction", *REANALYSIS)]
SHOWN_SPACES = list(dict.fromkeys([CONFIG.experiments[REFERENCE].space, *LINEAR[:1]]))
LATENT_FIGURES = ("fig5a_latent_influence", "fig5b_imbalanced_input", "fig6a_affine", "fig6b_linear_range")


STRUCTURE_CODE = (
    "experiment/structure",
    "experiment/scoring",
    "experiment/comparing",
    "covariance/harmonics",
    *(f"verification/{name}" for name in ("aggregation", "lags", "physics", "regions", "spectra", "tails")),
)


def one_of(names):
    """Regular expression that matches these names alone, nothing where there are none."""
    return "|".join(sorted(names)) or "(?!)"


wildcard_constraints:
    dataset=one_of(CONFIG.datasets),
    delivery=one_of(delivery for name in CONFIG.datasets for delivery in CONFIG.deliveries(name)),
    autoencoder=one_of(CONFIG.autoencoders),
    experiment=one_of(EXPERIMENTS),
    space=one_of(CONFIG.spaces),
    stream=one_of({stream for _, stream, _ in CHUNKS}),
    chunk=r"\d{8}T\d\d",


def code(*modules):
    """Digest of the modules a cheap stage runs, so that an edit re-runs it; touching a file does not."""
    return code_digest(*modules)


def settings(*keys):
    """The values of configuration keys such as "forecaster" or "autoencoders.main", which re-run a rule on change."""
    return {key: copy.deepcopy(_value(VALUES, key.split("."))) for key in keys}


def _value(values, path):
    return _value(values[path[0]], path[1:]) if path else values


def dataset_settings(wildcards):
    """What a dataset depends on."""
    if SIMULATED:
        return settings("seed", "step_hours", "source", "state", "grid", f"datasets.{wildcards.dataset}")
    return settings("step_hours", "state", "grid", f"datasets.{wildcards.dataset}") | source_settings()


def source_settings():
    """What states of ERA5 depend on, not how they are had."""
    own = settings("source")
    return {"source": {key: value for key, value in own["source"].items() if key not in CONFIG.source.passing}}


def deliveries_of_dataset(wildcards):
    """Receipts of all that is downloaded for a dataset; nothing from other sources."""
    return [RUN.delivery_receipt(delivery) for delivery in CONFIG.deliveries(wildcards.dataset)]


def download_settings(wildcards):
    """What a delivery depends on; where GRIB is not kept, all that its states do, which cannot be made of it again."""
    dataset, product, month = wildcards.delivery.split("/")
    source = source_settings()["source"]
    own = (
        {"source": {key: source[key] for key in ("kind", "grid", "preliminary")}}
        if CONFIG.source.keep
        else {"source": source, **settings("grid")}
    )
    chosen = (
        settings("step_hours", "state.levels", "state.upper_air")
        if product == "pressure-levels"
        else settings("step_hours", "state.surface")
    )
    return own | chosen | {"days": CONFIG.days(dataset, month)}


def autoencoder_settings(wildcards):
    """What the weights of an autoencoder depend on, beside the states or forecasts they are trained on."""
    own = settings("seed", f"autoencoders.{wildcards.autoencoder}")
    for key in ("corrections", "forecast_days"):
        own[f"autoencoders.{wildcards.autoencoder}"].pop(key)
    return own


def forecasts_of_autoencoder(wildcards):
    """Receipt of the forecasts that an autoencoder is trained on, if it is."""
    return [RUN.forecast_states_receipt(wildcards.autoencoder)] if wildcards.autoencoder in OF_FORECASTS else []


def forecaster_settings(_):
    """What the weights of the forecaster depend on."""
    own = settings("seed", "forecaster")
    own["forecaster"].pop("relaxation_days")
    return own


def corrections_of(space):
    """What an encoding depends on beyond the weights."""
    return None if space == MODEL_SPACE else CONFIG.autoencoders[space].corrections


def variational(name):
    """Whether an experiment assimilates."""
    return CONFIG.experiments[name].variational


def experiment_settings(wildcards):
    """What a cycled experiment depends on beyond its inputs; which suite it belongs to is no such thing."""
    own = settings("step_hours", "archive", "forecaster.relaxation_days", f"experiments.{wildcards.experiment}")
    own[f"experiments.{wildcards.experiment}"].pop("suite")
    own["corrections"] = corrections_of(space_of(wildcards.experiment))
    if variational(wildcards.experiment):
        own |= settings("minimiser", "quality_control.background_check", "quality_control.huber")
    if wildcards.experiment in ENSEMBLES:
        own |= settings("seed", "verification.headline")
    return own


def structure_settings(wildcards):
    """Which times of an experiment are looked at."""
    return {
        "spin_up_days": CONFIG.spin_up_days(wildcards.experiment),
        **settings("verification", "forecaster.relaxation_days"),
    }


def chunk_of(wildcards):
    """The chunk of a stream that a job cycles."""
    return CHUNKS[wildcards.experiment, wildcards.stream, wildcards.chunk]


def chunk_settings(wildcards):
    """What a cycled chunk depends on beyond its inputs: where it and its stream begin, not where others end."""
    own, chunk = experiment_settings(wildcards), chunk_of(wildcards)
    own[f"experiments.{wildcards.experiment}"].pop("days")
    first = CONFIG.production.streams[wildcards.experiment][wildcards.stream].first
    return own | {"chunk": [str(moment) for moment in (first, chunk.begin, chunk.end)]}


def restart_before(wildcards):
    """What the chunk before leaves; nothing for the first of its stream."""
    before = chunk_of(wildcards).before
    return [] if before is None else [RUN.chunk(wildcards.experiment, wildcards.stream, before).restart]


def published_chunks(what):
    """Input function: a file of every chunk whose times an experiment's archive holds."""
    return lambda wildcards: [
        getattr(RUN.chunk(*key), what)
        for key, chunk in CHUNKS.items()
        if key[0] == wildcards.experiment and chunk.published
    ]


def tuning_settings(wildcards):
    """What a search depends on beyond its inputs: the scheme, not the period it is for."""
    own = settings("step_hours", "forecaster.relaxation_days", "minimiser", "tuning", "quality_control.huber")
    chosen = CONFIG.experiments[wildcards.experiment]
    scheme = ("method", "latent_covariance", "slots", "slot_hours", "overlap", "increment_form", "model_error")
    own["corrections"] = corrections_of(space_of(wildcards.experiment))
    return own | {key: getattr(chosen, key) for key in scheme}


def space_of(name):
    """The space an experiment works in: its autoencoder's, or model space."""
    return CONFIG.experiments[name].space


def autoencoder_of_space(wildcards):
    """Weights of a latent space's autoencoder; nothing for model space."""
    return [] if wildcards.space == MODEL_SPACE else [RUN.weights(wildcards.space)]


def space_of_experiment(wildcards):
    """What an experiment needs of its space: B, and of a latent one the autoencoder and its error."""
    name, space = wildcards.experiment, space_of(wildcards.experiment)
    latent = [] if space == MODEL_SPACE else [RUN.weights(space), RUN.errors(space)]
    return [*latent, RUN.background_error(space)] if variational(name) else latent


def tuned_factors_of(name):
    """The factors found for an experiment that names none."""
    return [RUN.tuning(name)] if name in TUNED else []


def tuned_factors(wildcards):
    """The same for a job."""
    return tuned_factors_of(wildcards.experiment)


def windows_of_reference():
    """All that the windows of the reference experiment are made of."""
    chosen = CONFIG.experiments[REFERENCE]
    space = space_of(REFERENCE)
    networks = [RUN.weights("forecaster"), RUN.errors("forecaster"), RUN.weights(space), RUN.errors(space)]
    made = [RUN.statistics, RUN.background_error(space), *tuned_factors_of(REFERENCE)]
    return [*networks, *made, RUN.screened(chosen.dataset), RUN.archive_receipt(REFERENCE)]


def truth_of(name):
    """Receipt of the dataset that an experiment is scored against."""
    return RUN.dataset_receipt(CONFIG.experiments[name].dataset)
