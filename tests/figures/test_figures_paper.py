"""Figures after the paper's draw from a small run, with their numbers and units, and every figure has a caption."""

import matplotlib
import numpy as np
import pytest

import worlds
from lara import figures
from lara.figures import make
from lara.figures.methods import fig1_framework, table_cost
from lara.figures.networks import fig5a_latent_influence

UNITS = {"fig5b_imbalanced_input": "m² s⁻²", "fig6a_affine": "Z500 (m² s⁻²)"}


@pytest.fixture(scope="module")
def run(cycled, tmp_path_factory):
    """The small run with what the figures are drawn from."""
    cycled("l4dvar")
    run = worlds.copied(cycled("l3dvar"), tmp_path_factory.mktemp("drawn") / "world")
    for words in ("measure-latent-space", "measure-error-structure", "observe-once"):
        assert worlds.lara(run.layout.root, words) == 0, words
    return run


def texts(figure):
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def drawn(run, name):
    """A figure of the small run, from its arrays as they are kept."""
    picture = figures.pictures(run.config)[name]
    return picture.file.draw(make.keep(run, picture, make.gather(run, picture)))


@pytest.mark.parametrize("name", ["fig1_framework", "fig5b_imbalanced_input", "fig6a_affine"])
def test_figures_with_maps_say_their_unit_and_time(run, name):
    figure = drawn(run, name)
    assert UNITS.get(name, "m² s⁻²") in texts(figure)
    assert "2001-01-" in texts(figure)
    assert run.layout.figure_fields(name).exists()


def test_the_framework_shows_the_increment_of_its_window(run):
    """x_a − x_b as archived, and as many sites as data of the channel at the first slot."""
    fields = fig1_framework.gather(run)
    assert (fields["analysis"] - fields["background"]).equals(fields["increment"])
    assert 0 < fields.sizes["site"] < fields.attrs["observations"]


def test_the_error_structure_states_its_index_for_every_space(run):
    words = texts(drawn(run, "fig2_background_error"))
    assert "model space" in words and "latent (main)" in words and "latent (pca)" in words
    assert "n = 40" in words
    assert "of 768 elements" in words


def test_plots_of_the_decoder_state_the_range_and_n(run):
    words = texts(drawn(run, "fig6b_linear_range"))
    assert "n = 20 pairs" in words
    assert "k > 0: 0.0156–32.0 and beyond" in words  # a decoder of four training steps is all but linear
    assert "n = 20 pairs" in texts(drawn(run, "fig5a_latent_influence"))


def test_a_constant_column_is_drawn_as_zero():
    """Min-max of a channel that every component moves alike has no range to divide by."""
    table = fig5a_latent_influence.min_max(np.array([[1.0, 2.0], [3.0, 2.0]]))
    assert table.tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_the_table_of_costs_has_a_row_per_variational_experiment(run):
    """Medians over the windows after the spin-up; seconds per slot are those per analysis over the slots."""
    one = table_cost._cost(run, "l4dvar")
    assert one["slots"] == 4 and one["windows"] == 4
    assert one["seconds_per_slot"] == pytest.approx(one["seconds"] / 4)
    assert one["evaluations"] > 1


def test_every_figure_has_a_category_and_a_caption_of_its_own(run):
    found = [figures.picture_of(name) for name in figures.pictures(run.config)]
    assert all(picture.category and picture.file.CAPTION.endswith(".") for picture in found)
    with pytest.raises(KeyError, match=r"draws figure 'mystery': add one, or remove mystery\.png"):
        figures.picture_of("mystery")
