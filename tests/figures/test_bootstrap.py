"""An autoencoder trained on forecasts: what its states are, and that its experiment is set beside one of states."""

import matplotlib
import numpy as np
import pytest

import worlds
from lara import store
from lara.config import ConfigError, parse
from lara.figures.methods import tuning
from lara.figures.networks import exp4_forecast_autoencoder
from lara.networks import weights
from lara.stages.models import forecast_states, train
from lara.stages.run import hours

REFERENCE = {**worlds.SHORT_LATENT, "suite": "osse", "days": 3}
EXPERIMENT = {**REFERENCE, "suite": "bootstrap", "autoencoder": "bred"}


def values():
    """The small configuration with an autoencoder of forecasts of one day up to three."""
    found = worlds.changed("bootstrap", {"reference": "known", "spin_up_days": 1})
    found["autoencoders"]["bred"] = {**found["autoencoders"]["main"], "forecast_days": [1, 3]}
    found["experiments"] = {
        **{name: found["experiments"][name] for name in ("l4dvar", "free", "eda")},
        **{"known": REFERENCE, "bred": EXPERIMENT},
    }
    return found | {"osse": {"reference": "known", "spin_up_days": 1}, "observed_once": ["l4dvar"]}


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    """The small run with forecasts, an autoencoder of them, and an experiment of each autoencoder."""
    run = worlds.copied(world, tmp_path_factory.mktemp("bootstrap") / "world", values())
    for part in ("data", "models"):
        worlds.unlinked(run.layout.root / part)
    for do in ("forecast-states", "train-autoencoder", "measure-autoencoder", "score-autoencoder"):
        assert worlds.lara(run.layout.root, f"{do} --autoencoder bred") == 0
    assert worlds.lara(run.layout.root, "estimate-background-error --space bred") == 0
    for name in ("known", "bred"):
        for do in ("cycle-experiment", "score-experiment", "score-forecasts-of"):
            assert worlds.lara(run.layout.root, f"{do} --experiment {name}") == 0
    return run


def made(run):
    return store.open_state(run.layout.forecast_states("bred", "training"))


def test_every_time_after_the_first_lead_has_one_forecast(run):
    """33 days of training states, of which the first day has none."""
    source = run.store("training")
    np.testing.assert_array_equal(made(run).times, source.times[4:])


@pytest.mark.parametrize(("position", "lead"), [(0, 4), (7, 11), (8, 4), (127, 11)])
def test_a_state_is_the_forecast_of_its_lead_time(run, position, lead):
    """Forecasts start every two days; run again alone they agree to the rounding of another batch size."""
    time = made(run).times[position]
    start = run.store("training").at(np.array([time - lead * run.step]))
    expected = run.forecast(run.tensor(start), np.array([time - lead * run.step]), lead).numpy()[0]
    np.testing.assert_allclose(made(run).at(np.array([time]))[0], expected, rtol=1e-4, atol=1e-3)


def test_times_that_no_state_leads_to_are_gaps(run, tmp_path):
    """Without the state of the second start, 4 January, the two days from the 5th on have no forecast."""
    part = worlds.copied(run, tmp_path / "world")
    worlds.unlinked(part.layout.root / "data")
    source, lost = run.store("training"), np.array([8])
    path = part.layout.dataset("training")
    for link in (path, path.with_name(f"{path.name}.receipts"), part.layout.forecast_states("bred", "any").parents[1]):
        link.unlink()
    store.create(path, run.grid, run.channels, source.times)
    store.write_block(path, 0, source.read(slice(None)), lost.tolist())
    store.seal(path, "all", 0, len(source), gaps={8: "lost"})
    list(forecast_states.fill(part, "bred", "training", (1, 3)))
    found = made(part)
    assert found.gaps[0] == source.times[8] + hours(24)
    assert len(found.gaps) == 8
    assert len(made(run)) == len(found) + 8


def test_the_linear_path_is_fitted_to_the_forecasts(run):
    """Four steps at a learning rate of 1e-3 move it by less than the forecasts' own components differ."""
    chosen, module = run.autoencoder("bred"), run.new_autoencoder("bred")
    weight = train.channel_weights(run, run.config.autoencoders["bred"].training)
    apart = {}
    for name in ("bred", "main"):
        train.fit_linear_path(run, module, weight, train.training_states(run, name))
        apart[name] = float((module.linear.encoder.bias - chosen.linear.encoder.bias).detach().norm())
    assert apart["bred"] < 0.1 * apart["main"]


def test_weights_do_not_know_what_they_were_trained_on(run):
    """So that weights made before the key `forecast_days` still load; what they learnt from is in receipts."""
    of_states = run.new_autoencoder("bred")
    weights.load(of_states, run.layout.weights("main"), run.description(run.config.autoencoders["bred"]))
    assert train.identity(run, "bred", "32-true") != train.identity(run, "main", "32-true")


def test_the_comparison_is_paired_with_the_reference_and_counts(run):
    """Two days after the spin-up: two daily analyses, and forecasts of the one day that headline forecasts last."""
    found = exp4_forecast_autoencoder.gather(run)
    assert found["experiment"].values.tolist() == ["known", "bred"]
    assert (found["difference"].sel(experiment="known") == 0).all()
    gain = found["rmse"].sel(experiment="bred") - found["rmse"].sel(experiment="known")
    np.testing.assert_allclose(found["difference"].sel(experiment="bred"), gain, rtol=1e-6)
    assert found["lead_days"].values.tolist() == [0.0, 1.0]
    assert found["n"].sel(lead_days=0.0).values.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_the_figure_says_what_each_was_trained_on(run):
    figure = exp4_forecast_autoencoder.draw(exp4_forecast_autoencoder.gather(run))
    words = " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    for part in ("known: trained on states", "bred: trained on forecasts of 1 to 3 days", "less known", "m² s⁻²"):
        assert part in words, part
    assert "n = 2 analyses" in words


def test_it_is_no_part_of_the_default_run_nor_of_the_figure_of_tuning(run):
    assert run.config.default_autoencoders == ["main", "pca"]
    tuned = values()
    tuned["experiments"]["bred"] = {**EXPERIMENT, "factors": None}
    assert tuning.inputs(parse(tuned), run.layout) == []


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("autoencoders.bred.forecast_days", [3, 3], "must increase"),
        ("autoencoders.bred.forecast_days", [1, 40], "run past the end of the shortest training dataset, 33 days"),
        ("bootstrap.reference", None, "bootstrap.reference is not set: name one of the latent experiments"),
        ("bootstrap.reference", "free", "bootstrap.reference 'free' is not one of the latent experiments"),
        ("experiments.bred.days", 2, "experiments.bred.days 2 differs from 3 of the reference experiments.known"),
    ],
)
def test_what_cannot_be_compared_is_refused(key, value, remedy):
    wrong = values()
    *path, last = key.split(".")
    section = wrong
    for part in path:
        section = section[part]
    section[last] = value
    with pytest.raises(ConfigError, match=remedy):
        parse(wrong)
