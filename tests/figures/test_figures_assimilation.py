"""Figures of the comparison of methods: they draw from small tables, with the numbers a reader needs."""

import matplotlib.patches
import numpy as np
import pandas as pd
import pytest

import figure_samples as samples
from lara.figures import style
from lara.figures.analyses import osse, spread_skill
from lara.figures.background_error import single_observation
from lara.figures.methods import batching, minimisers, tuning

METHODS = samples.METHODS


@pytest.fixture
def table():
    return samples.osse()


@pytest.fixture
def minimisations():
    return samples.minimisers()


@pytest.fixture
def spread():
    return samples.spread_skill()


@pytest.fixture
def increments():
    return samples.single_observation()


@pytest.fixture
def tuned():
    return samples.tuning()


def labels(axes):
    return [line.get_label() for line in axes.get_lines() if not line.get_label().startswith("_")]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_the_osse_table_has_a_panel_per_channel_and_lead_and_the_rmse_beside_the_dots(table):
    figure = osse.draw(table)
    assert len(figure.axes) == 12
    titles = [axes.get_title() for axes in figure.axes[:4]]
    assert titles == [f"Z500, {lead}, n = 40" for lead in ("analysis", "+1 day", "+3 days", "+5 days")]
    first = figure.axes[0]
    assert first.get_xlabel() == "difference (m² s⁻²)"
    assert [label.get_text() for label in first.get_yticklabels()] == METHODS
    row = table[(table["channel"] == "z500") & (table["lead_days"] == 0)].set_index("method").loc["l4dvar"]
    assert texts(first)[-1] == "{} [{}, {}]".format(*(style.number(row[name]) for name in ("rmse", "low", "high")))
    assert "4dvar" in figure.get_suptitle() and "95 %" in figure.get_suptitle()


def test_a_dot_is_filled_only_where_its_interval_leaves_out_zero(table):
    dots = [line for line in osse.draw(table).axes[0].get_lines() if line.get_marker() == "o"]
    filled = dict(zip(METHODS[1:], (line.get_markerfacecolor() != "white" for line in dots), strict=True))
    assert filled == {"3dvar": True, "4dvar": False, "l3dvar": False, "l4dvar": True}
    assert dots[0].get_xdata()[0] == pytest.approx(table["difference"].iloc[1])
    row = table.iloc[3]
    assert row["method"] == "l3dvar" and row["difference_low"] < 0 < row["difference_high"]


def test_a_method_far_worse_than_the_reference_is_an_arrow_at_the_end_of_the_axis(table):
    axes = osse.draw(table).axes[0]
    arrows = [line for line in axes.get_lines() if line.get_marker() == ">"]
    assert [line.get_ydata()[0] for line in arrows] == [METHODS.index("free")]
    free = table["difference"].iloc[0]
    assert axes.get_xlim()[1] < free


def test_specific_humidity_is_drawn_in_grams_per_kilogram(table):
    moist = table[table["channel"] == "t850"].assign(channel="q850", difference=1e-3)
    axes = osse.draw(moist).axes[0]
    assert axes.get_xlabel() == "difference (g kg⁻¹)"
    assert [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() == "o"] == [1.0] * 5


def test_a_table_of_two_references_is_refused(table):
    with pytest.raises(ValueError, match="4dvar, l4dvar; draw one reference"):
        osse.draw(pd.concat([table, table.assign(reference="l4dvar")]))


def test_minimisers_show_a_curve_with_n_for_each_and_the_work_to_come_near(minimisations):
    curves, evaluations, seconds = minimisers.draw(minimisations).axes
    assert labels(curves) == [f"{name}, n = 12" for name in minimisations["method"].unique()]
    assert curves.get_yscale() == "log"
    assert curves.get_ylabel() == "J above its minimum J* (%)"
    assert len(curves.collections) == 4
    assert evaluations.get_title() == "evaluations to within 1% of J*"
    assert seconds.get_xlabel() == "wall time (s)"
    assert all(text.endswith("of 12 windows)") for text in texts(evaluations))


def test_a_minimiser_that_mostly_fails_is_named_and_has_no_dot(minimisations):
    failed = minimisations["method"] == "Adam"
    table = minimisations.assign(best=minimisations["best"].where(~failed, 2 * minimisations["converged"]))
    axes = minimisers.draw(table).axes[1]
    assert texts(axes)[-1] == "most never (0 of 12 windows)"
    assert len([line for line in axes.get_lines() if line.get_marker() not in ("None", None)]) == 3


def test_more_minimisers_than_looks_are_refused(minimisations):
    many = pd.concat([minimisations.assign(method=f"method {i}") for i in range(8)])
    with pytest.raises(ValueError, match="cannot be told apart"):
        minimisers.draw(many)


def test_batching_states_the_gain_over_one_at_a_time():
    figure = batching.draw(samples.batching())
    rate, gradient = figure.axes
    assert texts(rate) == [f"×{b**0.6:.2f}" for b in (1, 2, 4, 8, 16)]
    assert [label.get_text() for label in rate.get_xticklabels()] == ["1", "2", "4", "8", "16"]
    assert "n = 3 repeats" in figure.get_suptitle()
    assert gradient.get_ylabel() == "seconds per gradient of one window (s)"


def test_spread_and_skill_show_the_accepted_band_the_mean_ratio_and_a_bar_per_rank(spread):
    figure = spread_skill.draw(spread)
    size, ratio, ranks = figure.axes[0], figure.axes[3], figure.axes[6]
    assert size.get_ylabel() == "spread, RMSE (m² s⁻²)"
    one = spread.sel(channel="z500", region="globe")
    numbers = (style.number(one[name].item()) for name in ("mean_ratio", "low", "high"))
    assert "mean {} [{}, {}]".format(*numbers) in labels(ratio)
    band = next(patch for patch in ratio.patches if patch.get_label().startswith("accepted"))
    assert band.get_y() == pytest.approx(0.7)
    assert band.get_y() + band.get_height() == pytest.approx(1.3)
    bars = [patch for patch in ranks.patches if isinstance(patch, matplotlib.patches.Rectangle)]
    assert [bar.get_height() for bar in bars] == pytest.approx(one["mean_frequency"].values.tolist())
    assert len(bars) == 11
    said = " ".join(text.get_text() for text in ranks.get_legend().get_texts())
    for region in ("globe", "northern", "southern", "tropics"):
        crps = style.number(spread["mean_crps"].sel(channel="z500", region=region).item())
        assert f"{region}: CRPS {crps}" in said
    assert "10 members" in figure.get_suptitle() and "n = 100" in figure.get_suptitle()


def test_increments_of_one_observation_stand_side_by_side_with_one_scale_and_a_triangle(increments):
    figure = single_observation.draw(increments)
    maps = figure.axes[:6]
    assert maps[0].get_title(loc="left").startswith("model space: z and wind")
    assert maps[1].get_title(loc="left").startswith("latent space")
    for left, right in zip(maps[::2], maps[1::2], strict=True):
        assert left.collections[0].get_clim() == right.collections[0].get_clim()
    triangles = [[line for line in axes.get_lines() if line.get_marker() == "^"] for axes in maps]
    assert [len(found) for found in triangles] == [1] * 6
    assert triangles[0][0].get_ydata()[0] == pytest.approx(34.9)
    assert triangles[4][0].get_ydata()[0] == 500
    assert [axes.get_ylabel() for axes in figure.axes[6:]] == ["z (m² s⁻²)", "t (K)", "z (m² s⁻²)"]
    assert "200 m² s⁻²" in figure.get_suptitle() and "North Pacific" in figure.get_suptitle()


def test_the_wind_of_the_spaces_is_drawn_to_one_scale_named_on_the_map(increments):
    figure = single_observation.draw(increments.assign(increment=increments["increment"] * [[[[1]]], [[[0.5]]]]))
    left, right = figure.axes[:2]
    assert texts(left) == texts(right)
    fastest = np.hypot(*(increments["increment"].sel(channel=f"{name}500") for name in "uv")).max()
    assert texts(left) == [f"fastest {style.number(fastest)} m s⁻¹"]
    scales = [next(c for c in axes.collections if hasattr(c, "scale")).scale for axes in (left, right)]
    assert scales[0] == scales[1]


def test_a_site_at_the_date_line_is_in_the_middle_of_its_map_and_ticks_name_true_longitudes(increments):
    axes = single_observation.draw(increments).axes[0]
    ticks = dict(zip((t.get_text() for t in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    assert ticks["180°"] == pytest.approx(180 - 177.2)
    assert ticks["150°E"] == pytest.approx(150 - 177.2)
    mesh = axes.collections[0]
    values, edges = mesh.get_array(), mesh.get_coordinates()
    y, x = np.unravel_index(np.argmax(values), values.shape)
    assert edges[y : y + 2, x : x + 2, 0].mean() == pytest.approx(0.8, abs=3.0)  # the high is at 178° E


def test_an_increment_of_nothing_is_drawn_without_complaint(increments):
    figure = single_observation.draw(increments * 0)
    assert figure.axes[0].collections[0].get_clim() == (-1.0, 1.0)


def test_an_observation_at_the_surface_has_no_level_to_map(increments):
    with pytest.raises(ValueError, match="draw an observation on a pressure level"):
        single_observation.draw(increments.assign_attrs(channel="msl"))


def test_tuning_draws_a_profile_per_experiment_and_stars_the_chosen(tuned):
    figure = tuning.draw(tuned)
    assert len(figure.axes) == 3
    scale, length, _ = figure.axes
    assert [label.split(":")[0] for label in labels(scale)] == ["3dvar", "l4dvar"]
    assert [label.split(":")[0] for label in labels(length)] == ["3dvar"]  # a diagonal B has no length
    assert "scale 0.5, length 1, observation 1" in labels(scale)[0]
    assert "1.02, n = 12000" in labels(scale)[0]
    stars = [line for line in scale.get_lines() if line.get_marker() == "*"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in stars] == [(0.5, 0.0), (2.0, 0.0)]
    profile = next(line for line in scale.get_lines() if line.get_label() in labels(scale))
    np.testing.assert_allclose(profile.get_ydata(), -0.05 * np.log(profile.get_xdata() / 0.5) ** 2, atol=1e-12)


def test_ticks_of_a_finely_tuned_factor_do_not_crowd(tuned):
    finer = tuned[tuned["experiment"] == "l4dvar"].assign(chosen=False)
    many = [finer.assign(scale=finer["scale"] * factor) for factor in (0.9, 0.95, 1.05, 1.1)]
    axes = tuning.draw(pd.concat([tuned, *many], ignore_index=True)).axes[0]
    ticks = axes.get_xticks()
    assert len(ticks) <= 10
    assert ticks[0] == pytest.approx(0.9 * 0.25)
    assert (np.diff(np.log(ticks)) > np.log(4.4 / 0.225) / 10).all()


def test_tuning_without_a_choice_or_without_a_curve_is_refused(tuned):
    with pytest.raises(ValueError, match="needs one chosen row; found l4dvar"):
        tuning.draw(tuned.assign(chosen=tuned["chosen"] & (tuned["experiment"] == "l4dvar")))
    with pytest.raises(ValueError, match="no curve to draw"):
        tuning.draw(tuned[tuned["chosen"]])


def test_all_draw_without_a_warning(table, minimisations, spread, increments, tuned):
    """Layout and text are made when a figure is rendered, so a figure that does not fit would only now say so."""
    one = table[table["channel"] == "z500"]
    small = [osse.draw(one), minimisers.draw(minimisations), spread_skill.draw(spread.isel(channel=[0]))]
    for figure in [*small, single_observation.draw(increments), tuning.draw(tuned)]:
        figure.draw_without_rendering()
