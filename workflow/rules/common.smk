"""The checked configuration, the run's paths, and what every rule uses."""

import os
import re
import sys
from pathlib import Path

from lara import config as configuration, figures
from lara.cli import FROZEN_CONFIG, ON_PROCESSOR
from lara.commands import COMMANDS
from lara.depends.imports import Imports
from lara.depends.inputs import Inputs
from lara.depends.settings import Settings
from lara.layout import Layout
from lara.receipts import digest
from lara.stages.code_digest import code_digest

try:
    CONFIG = configuration.parse(config)
except configuration.ConfigError as fault:
    raise WorkflowError(str(fault)) from None

IMPORTS = Imports(CONFIG)
if faults := IMPORTS.faults():
    raise WorkflowError("\n".join(faults))

RUN = Layout(Path("results") / CONFIG.name)
SETTINGS, INPUTS = Settings(CONFIG), Inputs(CONFIG, RUN)
settings = SETTINGS.of
PICTURES = figures.pictures(CONFIG)

# Jobs, and the Snakemake that a cluster's job starts for its part, read the configuration from here, so that it does not
# matter what becomes of the user's file while they wait.
FROZEN = RUN.frozen_config(digest(SETTINGS.values))
workflow.config_settings.configfiles = [FROZEN.absolute()]
os.environ |= {FROZEN_CONFIG: str(FROZEN)}
# `lara` beside the interpreter that runs Snakemake, whether or not its environment is activated
os.environ |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

EXPERIMENTS = list(CONFIG.experiments)
REANALYSIS, OSSE, PRODUCTION = map(CONFIG.suite, ("reanalysis", "osse", "production"))
REFERENCE = CONFIG.verification.reference
DEFAULT_AUTOENCODERS = CONFIG.default_autoencoders
ENSEMBLES = [name for name, experiment in CONFIG.experiments.items() if experiment.has_spread]
STREAMED = list(CONFIG.production.streams)
CHUNKS = {(name, chunk.stream, chunk.name): chunk for name in STREAMED for chunk in CONFIG.production.chunks(name)}


def one_of(names):
    """Regular expression that matches these names alone, nothing where there are none."""
    return "|".join(sorted(names)) or "(?!)"


wildcard_constraints:
    dataset=one_of(CONFIG.datasets),
    part=r"\d{8}-\d{8}",
    month=r"\d{4}-\d{2}",
    delivery=one_of(delivery for name in CONFIG.datasets for delivery in CONFIG.deliveries(name)),
    autoencoder=one_of(CONFIG.autoencoders),
    experiment=one_of(EXPERIMENTS),
    space=one_of(CONFIG.spaces),
    stream=one_of({stream for _, stream, _ in CHUNKS}),
    chunk=r"\d{8}T\d\d",


def code(command, *modules):
    """Digest of all that a command's module and others import, so that an edit re-runs what is cheap to make again."""
    return code_digest(*COMMANDS[command].modules, *modules)


def lara(command, threads="{threads}"):
    """Shell line of a job: the command of its rule's name, for what its wildcards name, with its log."""
    return f"lara {command} --run {{params.run}}{COMMANDS[command].option} --threads {threads} 2>&1 | tee {{log}}"


def of(what, *kinds):
    """Function of a job: `what` of the names that its wildcards have."""
    return lambda wildcards: what(*(wildcards[kind] for kind in kinds))


def space_of(name):
    """The space an experiment works in: its autoencoder's, or model space."""
    return CONFIG.experiments[name].space


def chunk_of(wildcards):
    """The chunk of a stream that a job cycles."""
    return CHUNKS[wildcards.experiment, wildcards.stream, wildcards.chunk]


def published_chunks(what):
    """Input function: a file of every chunk whose times an experiment's archive holds."""
    return lambda wildcards: [getattr(files, what) for files in INPUTS.published(wildcards.experiment)]


def drawn_by(target):
    """The pictures that a target draws."""
    return [RUN.figure(name) for name in figures.drawn_by(target, CONFIG, RUN)]


def real_observations(wildcards):
    """Refusal of `fig3_gdas`: no source of this version has what it is drawn from."""
    raise ValueError(
        f"fig3_gdas needs real observations (GDAS PREPBUFR or IODA files) and ERA5; run '{CONFIG.name}' has simulated ones "
        f"of source '{CONFIG.source.kind}': see fig3_osse for the same comparison in a twin experiment"
    )


def of_the_default_run(wildcards):
    """The README's figure; any other configuration's is refused."""
    if CONFIG.name != "default":
        raise ValueError(f"the README shows the default run, not '{CONFIG.name}': run without --configfile")
    return RUN.figure("rmse_over_time")
