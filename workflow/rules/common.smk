"""The checked configuration, the run's paths, and what every rule uses."""

import os
import sys
from pathlib import Path

from lara import config as configuration
from lara.layout import Layout
from lara.receipts import digest

try:
    CONFIG = configuration.parse(config)
except configuration.ConfigError as fault:
    raise WorkflowError(str(fault)) from None

# `lara` beside the interpreter that runs Snakemake, whether or not its environment is activated
os.environ |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

RUN = Layout(Path("results") / CONFIG.name)
PACKAGE = Path(workflow.basedir) / "workflow" / "lara"
TRANSFORMERS = [name for name, a in CONFIG.autoencoders.items() if a.kind == "transformer"]
EXPERIMENTS = list(CONFIG.experiments)
REFERENCE = CONFIG.verification.reference
TRAINING_THREADS = max(1, (workflow.cores or 16) // 2)  # the two networks train side by side


wildcard_constraints:
    dataset="|".join(CONFIG.datasets),
    autoencoder="|".join(CONFIG.autoencoders),
    experiment="|".join(EXPERIMENTS),


def code(*modules):
    """Digest of the modules a cheap stage runs, so that an edit re-runs it; touching a file does not."""
    files = [path for module in modules for path in sorted(PACKAGE.glob(f"{module}*"))]
    lost = [module for module in modules if not any(PACKAGE.glob(f"{module}*"))]
    if lost:
        raise WorkflowError(f"code(...) names modules {lost} that are not in {PACKAGE}: correct it")
    sources = [source for path in files for source in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return digest([digest(source) for source in sources])


def settings(*keys):
    """The values of configuration keys such as "forecaster" or "autoencoders.main", which re-run a rule on change."""
    return {key: _value(CONFIG.model_dump(mode="json"), key.split(".")) for key in keys}


def _value(values, path):
    return _value(values[path[0]], path[1:]) if path else values


def dataset_settings(wildcards):
    """What a dataset depends on."""
    return settings("seed", "step_hours", "source", "state", "grid", f"datasets.{wildcards.dataset}")


def experiment_settings(wildcards):
    """What a cycled experiment depends on beyond its inputs."""
    own = ["step_hours", f"experiments.{wildcards.experiment}"]
    variational = CONFIG.experiments[wildcards.experiment].method.endswith("dvar")
    return settings(*own, *(["minimiser", "background_error.scale"] if variational else []))


def latent_space(wildcards):
    """What an experiment needs of its autoencoder; nothing where it has none."""
    name = CONFIG.experiments[wildcards.experiment].autoencoder
    return [] if name is None else [RUN.weights(name), RUN.errors(name), RUN.background_error(name)]


def truth_of(name):
    """Receipt of the dataset that an experiment is scored against."""
    return RUN.dataset_receipt(CONFIG.experiments[name].dataset)


def of_the_default_run(wildcards):
    """The README's figure; any other configuration's is refused."""
    if CONFIG.name != "default":
        raise ValueError(f"the README shows the default run, not '{CONFIG.name}': run without --configfile")
    return RUN.figure("rmse_over_time")
