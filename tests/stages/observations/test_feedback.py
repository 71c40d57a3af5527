"""Feedback tells data that were used from data that were only compared, by what the analysis itself says."""

from dataclasses import replace

import numpy as np
import pytest

from lara.assimilation.cycle import Start, free
from lara.observations.table import Flag
from lara.stages.experiments import windows_of
from lara.stages.observations.reader import ObservationReader
from lara.stages.reanalysis.first_background import first_background
from lara.stages.reanalysis.model import model
from lara.stages.run import time


@pytest.fixture(scope="module")
def read_and_compared(world):
    """The reader of an experiment, and its first window compared with a free run."""
    chosen = world.config.experiments["l4dvar"]
    read = ObservationReader(world, "l4dvar", chosen.dataset)
    window = windows_of(chosen, *map(time, world.config.period("l4dvar")))[0]
    start = Start(first_background(world, chosen.dataset, chosen.background_hours))
    (analysis,) = free([window], start, read(window), model(world, chosen))
    return read, analysis


def test_a_control_is_told_to_have_used_nothing(read_and_compared):
    read, analysis = read_and_compared
    table = read.feedback(analysis)
    assert not (table["EffectiveQC"] == Flag.PASS).any()
    assert np.isinf(table["EffectiveError"]).all()


def test_a_method_that_solves_without_a_minimum_is_told_to_have_used_its_data(read_and_compared):
    """An ensemble Kalman filter has no minimum and has assimilated: all but what was withheld or screened out."""
    read, analysis = read_and_compared
    table = read.feedback(replace(analysis, assimilated=True))
    assert analysis.minimum is None
    usable = ~table["withheld"] & (table["PreQC"] == Flag.PASS)
    assert usable.any()
    assert ((table["EffectiveQC"] == Flag.PASS) == usable).all()
    assert (np.isfinite(table["EffectiveError"]) == usable).all()
