"""Every figure draws from small arrays, with the lines, units, counts and intervals a reader needs."""

import matplotlib
import matplotlib.colors
import numpy as np
import pytest

import figure_samples as samples
from lara.figures import maps, style
from lara.figures.analyses import analysis_maps, rmse_by_level, rmse_over_time
from lara.figures.forecasts import forecast_rmse
from lara.figures.methods import convergence
from lara.figures.networks import autoencoder_error, forecaster_skill, learning_curves
from lara.figures.observations import innovations


def labels(axes):
    return [line.get_label() for line in axes.get_lines() if not line.get_label().startswith("_")]


def test_learning_curves_show_training_and_validation_of_each_network():
    table = samples.learning_curves()
    validation = table[(table["network"] == "autoencoder") & (table["curve"] == "validation")]
    figure = learning_curves.draw(table)
    left, right, *_ = figure.axes
    assert [left.get_title(), right.get_title()] == ["autoencoder", "forecaster"]
    assert left.get_yscale() == "log"
    assert len(labels(left)) == 3
    assert left.get_lines()[2].get_ydata().tolist() == validation["loss"].tolist()


@pytest.fixture
def fields():
    return samples.analysis_maps()


@pytest.fixture
def evaluated():
    return samples.rmse_over_time()


@pytest.fixture
def departures():
    return samples.innovations()


def test_analysis_maps_give_the_increment_symmetric_limits_and_show_withheld_sites_open(fields):
    figure = analysis_maps.draw(fields)
    increment = next(axes for axes in figure.axes if axes.get_title().startswith("increment"))
    mesh = next(c for c in increment.collections if hasattr(c, "get_clim") and c.get_array() is not None)
    assert mesh.get_clim()[0] == -mesh.get_clim()[1]
    used, withheld = (c for c in increment.collections if c.get_label().startswith(("used", "withheld")))
    assert len(used.get_offsets()) == 81
    assert len(withheld.get_offsets()) == 9
    assert len(withheld.get_facecolors()) == 0
    assert "m² s⁻²" in [axes.get_ylabel() for axes in figure.axes]


def test_background_and_analysis_share_the_limits_of_the_truth(fields):
    figure = analysis_maps.draw(fields)
    limits = {axes.collections[0].get_clim() for axes in figure.axes[:3]}
    assert len(limits) == 1


def test_maps_put_greenwich_in_the_middle_without_moving_the_field(fields):
    field = fields["truth"]
    centred = maps.centred(field)
    assert (np.diff(centred["longitude"]) > 0).all()
    assert centred.sel(longitude=-90.0).equals(field.sel(longitude=270.0).assign_coords(longitude=-90.0))


def test_rmse_over_time_states_means_and_intervals_and_marks_spin_up_and_floor(evaluated):
    figure = rmse_over_time.draw(evaluated)
    axes = figure.axes[0]
    assert axes.get_ylabel() == "RMSE (m² s⁻²)"
    one = evaluated.sel(experiment="l4dvar", channel="z500")
    assert "l4dvar: {} [{}, {}]".format(
        *(style.number(one[name].item()) for name in ("mean", "low", "high"))
    ) in labels(axes)
    assert any(label.startswith("reconstruction") for label in labels(axes))
    assert len(axes.patches) == 1
    assert "n = 120" in figure.get_suptitle()


def test_pressure_at_sea_level_is_drawn_in_hectopascals(evaluated):
    figure = rmse_over_time.draw(evaluated.assign_attrs(headline="msl"))
    drawn = figure.axes[0].get_lines()[0].get_ydata()
    np.testing.assert_allclose(drawn, evaluated["rmse"].sel(experiment="free", channel="msl") / 100)
    assert figure.axes[0].get_ylabel() == "RMSE (hPa)"


def test_rmse_by_level_has_pressure_downward_and_one_panel_per_upper_air_variable():
    figure = rmse_by_level.draw(samples.rmse_by_level())
    assert [axes.get_xlabel()[:9] for axes in figure.axes] == [f"RMSE of {v}" for v in "zquvt"]
    bottom, top = figure.axes[0].get_ylim()
    assert bottom > top
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[1].get_xlabel() == "RMSE of q (g kg⁻¹)"


def test_innovations_show_used_and_withheld_with_their_numbers(departures):
    figure = innovations.draw(departures)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "z, used, n = 8000"
    assert titles[6] == "z, withheld, n = 800"
    assert titles[5] == "surface, used"
    assert "2.00 → 1.00 hPa, n = 8000" in [text.get_text() for text in figure.axes[5].texts]
    np.testing.assert_allclose(figure.axes[1].get_lines()[0].get_xdata(), 1.0)  # q: 1e-3 kg/kg is 1 g/kg


def test_innovations_say_so_when_nothing_was_withheld(departures):
    figure = innovations.draw(departures[~departures["withheld"]])
    assert [text.get_text() for text in figure.axes[6].texts] == ["no data"]


def test_forecast_rmse_has_lead_in_days_a_line_per_source_and_n():
    figure = forecast_rmse.draw(samples.forecast_rmse())
    axes = figure.axes[0]
    assert labels(axes) == ["l4dvar", "free", "persistence", "climatology"]
    assert axes.get_lines()[0].get_xdata().max() == 5.0
    assert axes.get_xlabel() == "lead time (days)"
    assert "n = 20" in figure.get_suptitle()


def test_autoencoder_error_states_the_rms_of_the_dynamical_channels_and_the_target():
    """Errors of 0.12 there; those of the surface, 0.9, do not count."""
    figure = autoencoder_error.draw(samples.autoencoder_error())
    assert "autoencoder: 0.120 (z, t, u, v)" in labels(figure.axes[0])
    assert "target 0.15 (rms of z, t, u, v)" in labels(figure.axes[0])
    assert "n = 120" in figure.axes[0].get_title()


def test_forecaster_skill_has_a_line_per_lead_with_its_target():
    axes = forecaster_skill.draw(samples.forecaster_skill()).axes[0]
    targets = [line.get_ydata()[0] for line in axes.get_lines() if line.get_label().startswith("target")]
    assert targets == [0.5, 0.55]
    assert sum(label.split(":")[0] in ("6 h", "24 h", "48 h") for label in labels(axes)) == 3


def test_convergence_shows_cost_consistency_and_work():
    cycles = samples.convergence()
    figure = convergence.draw(cycles)
    cost, consistency, work = figure.axes
    assert labels(cost) == ["J at the start", "J_o at the end", "J_b at the end"]
    assert "mean 1.00" in labels(consistency)
    assert work.get_title() == f"work, mean {cycles['evaluations'].mean():.1f}"


def test_an_experiment_has_one_colour_in_every_figure():
    assert style.colour("l4dvar") == style.RED
    assert style.colour("l4dvar-12h") == style.colour("l4dvar-12h")
    assert len({style.colour(name) for name in samples.EXPERIMENTS}) == len(samples.EXPERIMENTS)
    assert all(matplotlib.colors.is_color_like(c) for c in style.COLOURS.values())


def test_a_figure_is_saved_whole_as_png_and_pdf(tmp_path, departures):
    """Nothing else is left, and the PDF has its fonts embedded as such: /FontFile2 is TrueType."""
    style.save(innovations.draw(departures), tmp_path / "new" / "figure.png")
    found = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert found.keys() == {"figure.png", "figure.pdf"}
    assert found["figure.png"][:4] == b"\x89PNG"
    assert found["figure.pdf"][:5] == b"%PDF-" and b"/FontFile2" in found["figure.pdf"]


def test_the_same_figure_is_the_same_file(tmp_path, departures):
    """No date in it, so that drawing again wakes nothing that depends on it."""
    for name in ("one", "other"):
        style.save(innovations.draw(departures), tmp_path / f"{name}.png")
    for kind in ("png", "pdf"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"other.{kind}").read_bytes()


def test_settings_of_the_user_change_no_figure(tmp_path, departures):
    """A matplotlibrc for dark slides, read before: colours, margins and sizes stay those of LARA."""
    slides = {"axes.facecolor": "black", "savefig.bbox": "tight", "font.size": 20.0, "timezone": "Asia/Tokyo"}
    for name, settings in (("one", {}), ("other", slides)):
        with matplotlib.rc_context(settings):
            style.save(style.drawn(innovations.draw, departures), tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()
