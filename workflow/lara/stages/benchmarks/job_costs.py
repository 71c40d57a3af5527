"""Wall time, processor time and peak memory of every job of the default target, as Snakemake has measured them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lara.depends.inputs import Inputs
from lara.stages.run import Run

COLUMNS = {"s": "wall_s", "cpu_time": "processor_s", "max_rss": "peak_mib"}  # Snakemake's names and those of the table


def cost_table(run: Run, figures: Sequence[str]) -> pd.DataFrame:
    """A row per job: job, wall_s, processor_s (s), peak_mib (MiB); jobs done by hand were not measured."""
    paths = [path for path in map(run.layout.benchmark, jobs(run, figures)) if path.exists()]
    parts = [pd.read_csv(path, sep="\t").assign(job=path.stem) for path in paths]
    return pd.concat(parts, ignore_index=True).rename(columns=COLUMNS)[["job", *COLUMNS.values()]]


def jobs(run: Run, figures: Sequence[str]) -> list[str]:
    """Names of the benchmark files of the default target's jobs, as the rules call them, of `figures` among them."""
    config, cycled = run.config, run.config.suite("reanalysis")
    chosen = [config.experiments[name] for name in cycled]
    made_of = Inputs(config, run.layout)
    months = [f"{name}-{month}" for name in config.using("test") for month in config.months(name)]
    spaces = sorted({one.space for one in chosen if one.variational})
    several = [
        (("generate-dataset",), [f"{name}-{part.name}" for name, own in made_of.parts.items() for part in own]),
        (("simulate-observations", "screen-observations"), months),
        (("train-autoencoder", "measure-autoencoder", "score-autoencoder"), config.default_autoencoders),
        (("estimate-background-error",), spaces),
        (("cycle-experiment", "score-experiment", "measure-structure"), cycled),
        (("draw-figure",), figures),
    ]
    return [*(f"{work}-{name}" for works, names in several for work in works for name in names), *SINGLE_JOBS]


SINGLE_JOBS = (
    "compute-statistics",
    "train-forecaster",
    "measure-forecaster",
    "score-forecaster",
    "draw-sites",
    "score-forecasts",
    "measure-controls",
    "summarise",
)
