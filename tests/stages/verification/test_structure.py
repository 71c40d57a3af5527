"""What is measured of a small run's analyses: perfect for the truth, and drawn with every source and its units."""

import matplotlib
import numpy as np
import pytest
import xarray as xr

import worlds
from lara import figures
from lara.figures import make
from lara.verification import aggregation, balance, lags, spectra

SUITE = ["l4dvar", "l3dvar", "pca", "free", "autoencoder-only"]


@pytest.fixture(scope="module")
def run(cycled, tmp_path_factory):
    """The small run, its default suite shortened to one experiment and its control."""
    cycled("l4dvar")
    values = worlds.changed("verification.spin_up_days", 1)
    kept = {name: e for name, e in values["experiments"].items() if name not in {"l3dvar", "pca", "autoencoder-only"}}
    values["experiments"] = kept
    run = worlds.copied(cycled("free"), tmp_path_factory.mktemp("structure") / "world", values)
    for words in ("measure-controls", *(f"measure-structure --experiment {name}" for name in ("l4dvar", "free"))):
        assert worlds.lara(run.layout.root, words) == 0, words
    return run


def load(run, name):
    return xr.load_dataset(run.layout.structure(name))


def texts(figure):
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_the_truth_has_its_own_spectrum_time_and_budgets(run):
    found = load(run, "truth")
    assert found.attrs["n"] == 16  # four days of six-hourly times
    finished = spectra.finish(aggregation.of(spectra, found).sum("month"))
    np.testing.assert_allclose(finished["ratio"], 1.0)
    np.testing.assert_allclose(finished["coherence"], 1.0)
    assert lags.best_lag(aggregation.of(lags, found).sum("month")) == 0
    budget = found["budget"]
    np.testing.assert_array_equal(budget.sel(kind="analysis"), budget.sel(kind="truth"))


def test_the_reconstruction_loses_the_small_scales_and_analyses_are_measured_like_it(run):
    """A state of six patterns and noise: the autoencoder keeps the wave of the globe, and of the noise only a part."""
    coherence = {}
    for name in ("reconstruction", "l4dvar"):
        found = load(run, name)
        coherence[name] = spectra.finish(aggregation.of(spectra, found).sum("month"))["coherence"]
    assert float(coherence["reconstruction"][:, -2:].mean()) < 0.99
    assert float(coherence["l4dvar"][:, -2:].mean()) < float(coherence["reconstruction"][:, 1].mean())
    imbalance = balance.finish(aggregation.of(balance, load(run, "l4dvar")).sum("month"))
    assert set(imbalance) == {"hydrostatic"}  # the small run has no wind


def test_only_times_after_the_spin_up_are_measured(run):
    times = load(run, "l4dvar")["budget"]["time"].values
    assert times[0] == np.datetime64("2001-01-03T00:00")


@pytest.mark.parametrize("name", ["spectra", "extremes", "balance", "budgets"])
def test_every_figure_has_all_sources_their_count_and_the_controls(run, name):
    picture = figures.pictures(run.config)[name]
    words = texts(picture.file.draw(make.keep(run, picture, make.gather(run, picture))))
    assert "n = 16 times" in words
    assert all(source in words for source in ("truth", "reconstruction", "l4dvar", "free"))
    assert run.layout.figure_fields(name).exists()
