"""LARA: from an atmosphere to a reanalysis by latent 4D-Var, with its verification and figures.

Stages, each a target: data models covariance observations reanalysis verification figures benchmarks, and all.
What the Climate Data Store is asked for is a target of its own, downloads.
Beyond `all`, each a target: production fig7_latent_size exp4_forecast_autoencoder osse uncertainty single_observations
minimisers peers data_benchmarks. `figures` draws more than `all` does: every figure but those of fig7_latent_size and
exp4_forecast_autoencoder, which train networks of their own.
"""

import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")
sys.setrecursionlimit(100_000)  # chains of cycling jobs are deeper than Python's default

if not workflow.config_settings.configfiles:

    configfile: Path(workflow.basedir, "config", "config.yaml")


report: "workflow/report/workflow.rst"


container: "envs/lara.sif"  # used with `--sdm apptainer`; envs/README.md builds it


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/covariance.smk"
include: "workflow/rules/observations.smk"
include: "workflow/rules/reanalysis.smk"
include: "workflow/rules/verification.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/benchmarks.smk"
include: "workflow/rules/imports.smk"
include: "workflow/rules/targets.smk"


localrules:
    all,
    data,
    downloads,
    models,
    covariance,
    observations,
    reanalysis,
    production,
    verification,
    figures,
    fig3_gdas,
    fig7_latent_size,
    exp4_forecast_autoencoder,
    osse,
    uncertainty,
    single_observations,
    minimisers,
    peers,
    data_benchmarks,
    benchmarks,


onstart:
    configuration.write(CONFIG, FROZEN)
    configuration.write(CONFIG, RUN.config)
    if to_be_timed():
        shell(f"lara estimate --configfile {FROZEN} --probe --cores {GIVEN}")


rule all:
    default_target: True
    input:
        RUN.summary,
        RUN.page,
        drawn_by("all"),
        rules.benchmarks.input,
