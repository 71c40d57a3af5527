"""Factors on B and R of an experiment, as configured or as tuned."""

from __future__ import annotations

from lara.config import Factors
from lara.stages.reading import read_record
from lara.stages.run import Run


def factors(run: Run, name: str) -> Factors:
    """Factors on B and R of an experiment, as configured or as tuned.

    FileNotFoundError where it is to be tuned and has not been.
    """
    experiment = run.config.experiments[name]
    if not experiment.tuned:
        return experiment.factors or Factors()
    path = run.layout.tuning(name)
    if not path.exists():
        raise FileNotFoundError(f"factors {path} of experiment '{name}' do not exist: run `snakemake {path}`")
    return Factors.model_validate(read_record(path))
