"""The search for factors on B and R: complete, honest about what it chose, and needed before cycling."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import worlds
from lara import store
from lara.assimilation.cycle import Start, assimilate, cycle
from lara.config import Factors
from lara.stages.covariance.factors import factors
from lara.stages.experiments import windows_of
from lara.stages.observations.reader import ObservationReader
from lara.stages.reanalysis.first_background import first_background
from lara.stages.reanalysis.variational import scheme
from lara.stages.run import hours, time

SEARCH = worlds.VALUES["tuning"]
FINER = [0.55, 1.0, 1.8]


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    """The small run with both experiments tuned."""
    run = worlds.copied(world, tmp_path_factory.mktemp("tuned") / "world")
    for name in ("tuned", "tuned-latent"):
        assert worlds.lara(run.layout.root, f"tune-experiment --experiment {name}") == 0
    return run


def trials(run, name):
    return pd.read_csv(run.layout.tuning_trials(name))


def test_every_trial_is_told(run):
    """A stage for the factor on B, the length where there is one, R, and B again finer: all their values."""
    table = trials(run, "tuned")
    assert table.groupby("stage").size().tolist() == [3, 2, 2, 3]
    stages = [table[table["stage"] == number] for number in (1, 2, 3, 4)]
    assert stages[0]["scale"].tolist() == SEARCH["background"]
    assert stages[1]["length"].tolist() == SEARCH["length"]
    assert stages[2]["observation"].tolist() == SEARCH["observation"]
    np.testing.assert_allclose(stages[3]["scale"], stages[2]["scale"].iloc[0] * np.array(FINER))
    assert np.isfinite(table[["log_likelihood", "rms_normalised_innovation"]]).all(axis=None)
    assert (table["experiment"] == "tuned").all()


def test_a_latent_space_has_no_length(run):
    """Two stages and the finer one; the column is empty."""
    table = trials(run, "tuned-latent")
    assert table.groupby("stage").size().tolist() == [3, 2, 3]
    assert table["length"].isna().all()
    assert json.loads(run.layout.tuning("tuned-latent").read_text())["length"] == 1.0


@pytest.mark.parametrize("name", ["tuned", "tuned-latent"])
def test_the_winner_of_every_stage_is_its_most_likely_trial(run, name):
    """The next stage starts from it, and the last one's is chosen, as the file of factors says."""
    table = trials(run, name)
    winners = table.loc[table.groupby("stage")["log_likelihood"].idxmax()]
    for (_, winner), (_, following) in zip(winners.iloc[:-1].iterrows(), list(table.groupby("stage"))[1:], strict=True):
        kept = [key for key in ("scale", "length", "observation") if following[key].nunique() == 1]
        assert {key: following[key].iloc[0] for key in kept} == {key: winner[key] for key in kept}
    chosen = table[table["chosen"]]
    assert len(chosen) == 1
    assert chosen.index[0] == winners.index[-1]
    found = Factors.model_validate(json.loads(run.layout.tuning(name).read_text()))
    assert (found.background, found.observation) == (chosen["scale"].item(), chosen["observation"].item())
    assert factors(run, name) == found


def test_all_trials_are_scored_on_the_same_data(run):
    """Nothing is rejected, so that likelihoods compare; those of first slots after the spin-up."""
    for name in ("tuned", "tuned-latent"):
        assert trials(run, name)["n"].nunique() == 1
    begin = time(run.config.datasets["validation"].begin) + hours(SEARCH["background_hours"])
    table = pd.read_parquet(run.layout.screened("validation", "2001-01"))
    used = table[~table["withheld"]]
    at = begin + hours(24) + hours(24) * np.arange(2)
    assert trials(run, "tuned-latent")["n"].iloc[0] == used["MetaData/dateTime"].isin(at).sum()


def test_the_likelihood_is_that_of_the_innovations_by_hand(run):
    """−½ log 2π s² − ½ d²/s² of first slots, s² = σ_b² + σ_o², mean over the data of the days after the spin-up; the
    trial with all factors one, cycled alone, to the minimiser's path in float32."""
    name, search = "tuned-latent", run.config.tuning
    begin = time(run.config.datasets["validation"].begin) + hours(24)
    period = windows_of(run.config.experiments[name], begin, begin + hours(24 * search.days))
    background = first_background(run, "validation", 24)
    own = replace(scheme(run, name, [Factors()], background, period[0]), check_threshold=None)
    read = ObservationReader(run, name, "validation")
    logs = []
    for (analysis,) in cycle(period, Start(background), read, lambda *a: assimilate(*a, own), own.model.step):
        fit = analysis.fit
        chosen = torch.isfinite(fit.error_std) & (fit.slot == 0)
        s2 = (fit.background_std**2 + fit.error_std**2)[chosen].double()
        d = (fit.value - fit.hofx_background)[chosen].double()
        logs.append(-0.5 * torch.log(2 * torch.pi * s2) - 0.5 * d**2 / s2)
    table = trials(run, name)
    one = table[(table["stage"] == 1) & (table["scale"] == 1.0)]
    assert float(torch.cat(logs[1:]).mean()) == pytest.approx(one["log_likelihood"].item(), rel=1e-4)


def test_searching_again_finds_the_same(run, world, tmp_path):
    """Byte for byte."""
    again = worlds.copied(world, tmp_path / "again")
    assert worlds.lara(again.layout.root, "tune-experiment --experiment tuned-latent") == 0
    for path in (again.layout.tuning("tuned-latent"), again.layout.tuning_trials("tuned-latent")):
        assert path.read_bytes() == (run.layout.root / path.relative_to(again.layout.root)).read_bytes()


def test_a_tuned_experiment_cycles_with_what_was_found(run):
    """Its archive tells the factors."""
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment tuned") == 0
    told = store.open_archive(run.layout.archive("tuned")).attrs["factors"]
    assert Factors.model_validate_json(told) == factors(run, "tuned")


def test_an_experiment_to_be_tuned_is_not_cycled_before(world, tmp_path, capsys):
    """Status 2, the file and what makes it; nothing is left behind."""
    run = worlds.copied(world, tmp_path / "world")
    capsys.readouterr()
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment tuned") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    path = run.layout.tuning("tuned")
    assert line == f"lara cycle-experiment: factors {path} of experiment 'tuned' do not exist: run `snakemake {path}`"
    assert not run.layout.archive("tuned").exists()


@pytest.mark.parametrize("name", ["free", "l4dvar"])
def test_an_experiment_that_names_its_factors_or_assimilates_nothing_needs_no_search(world, name):
    """All are one by default."""
    assert factors(world, name) == Factors()
