"""Methods: each name has its row and its maker, and a method without a minimum cycles like any other."""

from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np
import pandas as pd
import pytest

import worlds
from lara.assimilation.cycle import Start, free
from lara.config import Experiment
from lara.config.experiments import METHODS
from lara.observations import table as tables
from lara.stages.reanalysis import method
from lara.stages.reanalysis.analyst import Analyst
from lara.stages.reanalysis.model import model, slot_step


class Nudging:
    """A method of one file that looks at its data and moves nothing, and has no cost function to minimise."""

    def make(self, run, name, background, first):
        chosen = run.config.experiments[name]
        return Analyst(partial(self.analyse, model(run, chosen)), slot_step(run, chosen), Start(background))

    def analyse(self, own, windows, start, observations):
        """Free analyses that say they have assimilated; they have no minimum."""
        return [replace(analysis, assimilated=True) for analysis in free(windows, start, observations, own)]


def test_every_name_has_its_needs_and_its_maker():
    names = set(get_args(Experiment.model_fields["method"].annotation))
    assert names == set(METHODS) == set(method.MAKERS)


@pytest.mark.parametrize("name", METHODS)
def test_a_name_that_assimilates_is_refused_neither_members_nor_its_space(name):
    """What a row says is what the configuration asks: an autoencoder where one is needed, and none elsewhere."""
    given = {"method": name, "slots": 1, "autoencoder": "main" if METHODS[name].autoencoder else None}
    assert Experiment(**given).needs == METHODS[name]
    with pytest.raises(ValueError, match="autoencoder"):
        Experiment(**{**given, "autoencoder": None if METHODS[name].autoencoder else "main"})


def test_a_method_without_a_minimum_leaves_feedback_of_what_it_used(world, tmp_path, monkeypatch):
    """Cycled through the command: its data are told as used, its ledger has no work, its archive is whole."""
    monkeypatch.setitem(method.MAKERS, "free", Nudging())
    run = worlds.copied(world, tmp_path / "nudged", worlds.VALUES)
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment free") == 0
    table = tables.read_feedback(run.layout.feedback("free"))
    assert ((table["EffectiveQC"] == tables.Flag.PASS) == (~table["withheld"] & (table["PreQC"] == 0))).all()
    assert np.isfinite(table.loc[table["EffectiveQC"] == tables.Flag.PASS, "EffectiveError"]).all()
    ledger = pd.read_parquet(run.layout.health("free"))
    assert set(ledger["reason"]) == {"analysed without a minimisation"}
    assert (ledger["evaluations"] == 0).all()
