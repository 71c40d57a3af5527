"""Figures after the paper's draw from a small run, with their numbers and units, and every figure has a caption."""

import matplotlib
import numpy as np
import pytest

import worlds
from lara.experiment import drawing, drawing_comparisons, drawing_paper
from lara.verification.figures import captions, fig5a_latent_influence

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


@pytest.mark.parametrize("name", ["fig1_framework", *drawing_paper.MAPPED])
def test_figures_with_maps_say_their_unit_and_time(run, name):
    figure = drawing_paper.FIGURES[name](run)
    run.layout.figure(name).parent.mkdir(exist_ok=True)
    assert UNITS.get(name, "m² s⁻²") in texts(figure)
    assert "2001-01-" in texts(figure)
    assert run.layout.figure_fields(name).exists()


def test_the_framework_shows_the_increment_of_its_window(run):
    """x_a − x_b as archived, and as many sites as data of the channel at the first slot."""
    from lara.experiment.framework import framework_fields

    fields = framework_fields(run)
    assert (fields["analysis"] - fields["background"]).equals(fields["increment"])
    assert 0 < fields.sizes["site"] < fields.attrs["observations"]


def test_the_error_structure_states_its_index_for_every_space(run):
    words = texts(drawing_paper.draw_error_structure(run))
    assert "model space" in words and "latent (main)" in words and "latent (pca)" in words
    assert "n = 40" in words
    assert "of 768 elements" in words


def test_plots_of_the_decoder_state_the_range_and_n(run):
    words = texts(drawing_paper.draw_latent_plot(run, "fig6b_linear_range"))
    assert "n = 20 pairs" in words
    assert "k > 0: 0.0156–32.0 and beyond" in words  # a decoder of four training steps is all but linear
    assert "n = 20 pairs" in texts(drawing_paper.draw_latent_plot(run, "fig5a_latent_influence"))


def test_a_constant_column_is_drawn_as_zero():
    """Min-max of a channel that every component moves alike has no range to divide by."""
    table = fig5a_latent_influence.min_max(np.array([[1.0, 2.0], [3.0, 2.0]]))
    assert table.tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_the_table_of_costs_has_a_row_per_variational_experiment(run):
    """Medians over the windows after the spin-up; seconds per slot are those per analysis over the slots."""
    one = drawing_paper._cost(run, "l4dvar")
    assert one["slots"] == 4 and one["windows"] == 4
    assert one["seconds_per_slot"] == pytest.approx(one["seconds"] / 4)
    assert one["evaluations"] > 1


def test_every_figure_has_a_category_and_a_caption_of_its_own(run):
    names = [*drawing.FIGURES, *drawing_paper.FIGURES, *drawing_comparisons.figures(run), "costs"]
    found = [captions.of(name) for name in names]
    assert all(category and text.endswith(".") for category, text in found)
    with pytest.raises(KeyError, match="figure 'mystery' has no caption"):
        captions.of("mystery")
