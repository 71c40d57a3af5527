"""Every figure draws from small arrays, with the lines, units, counts and intervals a reader needs."""

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lara.grid import Grid
from lara.observations.network import draw_network
from lara.verification import significance
from lara.verification.figures import (
    analysis_maps,
    autoencoder_error,
    convergence,
    forecast_rmse,
    forecaster_skill,
    innovations,
    learning_curves,
    maps,
    rmse_by_level,
    rmse_over_time,
    style,
)

SURFACE = ["msl", "u10", "v10", "t2m"]
LEVELS = [50, 200, 300, 500, 700, 850, 925, 1000]
CHANNELS = SURFACE + [f"{variable}{level}" for variable in "zquvt" for level in LEVELS]
EXPERIMENTS = ["free", "autoencoder-only", "pca", "l4dvar"]
TIMES = np.datetime64("2001-01-01", "ns") + np.arange(160) * np.timedelta64(6, "h")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def labels(axes):
    return [line.get_label() for line in axes.get_lines() if not line.get_label().startswith("_")]


def squared_errors(rng, channels):
    """Squared errors that grow from free to l4dvar's opposite, correlated in time; SI units of the
    variable.
    """
    size = np.array([{"z": 4e5, "q": 1e-6, "msl": 1e5}.get(style.channel(name).variable, 9.0) for name in channels])
    level = np.array([1.0, 0.8, 0.4, 0.3])[:, None, None]
    grown = level * (1 - 0.5 * np.exp(-np.arange(len(TIMES)) / 20))[:, None] * size
    values = grown * np.exp(0.3 * rng.standard_normal((len(EXPERIMENTS), len(TIMES), len(channels))))
    coords = {"experiment": EXPERIMENTS, "time": TIMES, "channel": channels}
    return xr.DataArray(values, coords, ("experiment", "time", "channel"))


@pytest.fixture
def evaluated(rng):
    names = ["z500", "t850", "u500", "msl"]
    result = significance.evaluate(squared_errors(rng, names), TIMES[40], 16, rng)
    floor = xr.DataArray([100.0, 0.4, 0.6, 60.0], {"channel": names}, "channel")
    return result.assign(floor=floor)


def test_learning_curves_show_training_and_validation_of_each_network(rng):
    step = np.arange(2000)
    loss = 1 / (1 + step / 100) * np.exp(0.2 * rng.standard_normal(2000)) + 0.02
    train = pd.DataFrame({"step": step, "loss": loss, "learning_rate": 1e-3 * np.cos(step / 2000 * np.pi / 2)})
    validation = pd.DataFrame({"step": step[99::100], "loss": 1.1 / (1 + step[99::100] / 100) + 0.02})
    figure = learning_curves.draw({"autoencoder": (train, validation), "forecaster": (train, validation)})
    left, right, *_ = figure.axes
    assert [left.get_title(), right.get_title()] == ["autoencoder", "forecaster"]
    assert left.get_yscale() == "log"
    assert len(labels(left)) == 3
    assert left.get_lines()[2].get_ydata().tolist() == validation["loss"].tolist()


@pytest.fixture
def fields(rng):
    grid = Grid.gaussian(32, 64)
    latitude, longitude = np.deg2rad(grid.latitude)[:, None], np.deg2rad(grid.longitude)[None]
    truth = 5.5e4 - 4e3 * np.sin(latitude) ** 2 + 800 * np.cos(latitude) ** 4 * np.sin(5 * longitude + 3 * latitude)
    increment = 300 * np.cos(latitude) ** 2 * np.sin(3 * longitude + latitude)
    arrays = {"truth": truth, "background": truth - increment, "analysis": truth - 0.4 * increment}
    arrays["increment"] = arrays["analysis"] - arrays["background"]
    coords = {"latitude": grid.latitude, "longitude": grid.longitude}
    dataset = xr.Dataset({name: (("latitude", "longitude"), a) for name, a in arrays.items()}, coords)
    land = xr.DataArray(
        (np.sin(2 * longitude) * np.cos(3 * latitude) > 0.2).astype(float), coords, dataset["truth"].dims
    )
    sites = draw_network(grid, 90, 0, 0.1, rng)
    return dataset.assign_attrs(channel="z500", time="2001-02-03 00:00"), sites, land


def test_analysis_maps_give_the_increment_symmetric_limits_and_show_withheld_sites_open(fields):
    figure = analysis_maps.draw(*fields)
    increment = next(axes for axes in figure.axes if axes.get_title().startswith("increment"))
    mesh = next(c for c in increment.collections if hasattr(c, "get_clim") and c.get_array() is not None)
    assert mesh.get_clim()[0] == -mesh.get_clim()[1]
    used, withheld = (c for c in increment.collections if c.get_label().startswith(("used", "withheld")))
    assert len(used.get_offsets()) == 81
    assert len(withheld.get_offsets()) == 9
    assert len(withheld.get_facecolors()) == 0
    assert "m² s⁻²" in [axes.get_ylabel() for axes in figure.axes]


def test_background_and_analysis_share_the_limits_of_the_truth(fields):
    figure = analysis_maps.draw(fields[0], fields[1])
    limits = {axes.collections[0].get_clim() for axes in figure.axes[:3]}
    assert len(limits) == 1


def test_maps_put_greenwich_in_the_middle_without_moving_the_field(fields):
    field = fields[0]["truth"]
    centred = maps.centred(field)
    assert (np.diff(centred["longitude"]) > 0).all()
    assert centred.sel(longitude=-90.0).equals(field.sel(longitude=270.0).assign_coords(longitude=-90.0))


def test_rmse_over_time_states_means_and_intervals_and_marks_spin_up_and_floor(evaluated):
    figure = rmse_over_time.draw(evaluated, ["z500", "t850", "u500", "msl"])
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
    figure = rmse_over_time.draw(evaluated, ["msl"])
    drawn = figure.axes[0].get_lines()[0].get_ydata()
    np.testing.assert_allclose(drawn, evaluated["rmse"].sel(experiment="free", channel="msl") / 100)
    assert figure.axes[0].get_ylabel() == "RMSE (hPa)"


def test_rmse_by_level_has_pressure_downward_and_one_panel_per_upper_air_variable(rng):
    scores = significance.rmse_interval(squared_errors(rng, CHANNELS), 16, rng, dim="time")
    figure = rmse_by_level.draw(scores)
    assert [axes.get_xlabel()[:9] for axes in figure.axes] == [f"RMSE of {v}" for v in "zquvt"]
    bottom, top = figure.axes[0].get_ylim()
    assert bottom > top
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[1].get_xlabel() == "RMSE of q (g kg⁻¹)"


@pytest.fixture
def departures():
    rows = []
    for withheld in (False, True):
        for name in CHANNELS:
            found = style.channel(name)
            scale = {"z": 300.0, "q": 1e-3, "msl": 200.0}.get(found.variable, 2.0)
            row = {"variable": found.variable, "level": np.nan if found.level is None else found.level}
            row |= {
                "withheld": withheld,
                "n": 800 if withheld else 8000,
                "ombg_mean": 0.1 * scale,
                "oman_mean": 0.0,
            }
            rows.append(row | {"ombg_rms": scale, "oman_rms": (0.8 if withheld else 0.5) * scale})
    return pd.DataFrame(rows)


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


def test_forecast_rmse_has_lead_in_days_a_line_per_source_and_n(rng):
    sources, channels = ["l4dvar", "free", "persistence", "climatology"], ["z500", "t850", "u500"]
    lead = np.arange(0, 121, 12) * np.timedelta64(1, "h").astype("timedelta64[ns]")
    growth = (
        np.array([0.3, 0.9, 1.5, 0.0])[:, None] * np.minimum(np.arange(11) / 10, 0.8)
        + np.array([0.3, 0.8, 0.1, 1.2])[:, None]
    )
    values = (700 * growth[:, None, :, None] * np.exp(0.1 * rng.standard_normal((4, 20, 11, 3)))) ** 2
    coords = {"source": sources, "lead_time": lead, "channel": channels}
    squared = xr.DataArray(values, coords, ("source", "init_time", "lead_time", "channel"))
    figure = forecast_rmse.draw(significance.rmse_interval(squared, 2, rng))
    axes = figure.axes[0]
    assert labels(axes) == sources
    assert axes.get_lines()[0].get_xdata().max() == 5.0
    assert axes.get_xlabel() == "lead time (days)"
    assert "n = 20" in figure.get_suptitle()


def test_autoencoder_error_states_the_rms_of_the_dynamical_channels_and_the_target(rng):
    errors = xr.Dataset(
        {"autoencoder": ("channel", np.full(44, 0.12)), "pca": ("channel", np.full(44, 0.2))},
        {"channel": CHANNELS},
        {"n": 120, "compression": 6.0},
    )
    errors["autoencoder"][:4] = 0.9  # surface channels do not count
    figure = autoencoder_error.draw(errors, 0.15)
    assert "autoencoder: 0.120 (z, t, u, v)" in labels(figure.axes[0])
    assert "target 0.15 (rms of z, t, u, v)" in labels(figure.axes[0])
    assert "n = 120" in figure.axes[0].get_title()


def test_forecaster_skill_has_a_line_per_lead_with_its_target(rng):
    lead = np.array([6, 24, 48]) * np.timedelta64(1, "h").astype("timedelta64[ns]")
    values = np.array([0.45, 0.5, 0.7])[:, None] * (1 + 0.1 * rng.standard_normal((3, 44)))
    ratio = xr.DataArray(values, {"lead_time": lead, "channel": CHANNELS}, ("lead_time", "channel"), attrs={"n": 40})
    axes = forecaster_skill.draw(ratio, {6: 0.5, 24: 0.55}).axes[0]
    targets = [line.get_ydata()[0] for line in axes.get_lines() if line.get_label().startswith("target")]
    assert targets == [0.5, 0.55]
    assert sum(label.split(":")[0] in ("6 h", "24 h", "48 h") for label in labels(axes)) == 3


def test_convergence_shows_cost_consistency_and_work(rng):
    n = 60
    cycles = pd.DataFrame({"time": TIMES[: 2 * n : 2], "jb_start": 0.0, "jo_start": 2e4 * rng.uniform(0.8, 1.2, n)})
    cycles = cycles.assign(jb_end=2e3, jo_end=7e3, evaluations=rng.integers(20, 30, n), two_j_over_p=1.0)
    figure = convergence.draw(cycles)
    cost, consistency, work = figure.axes
    assert labels(cost) == ["J at the start", "J_o at the end", "J_b at the end"]
    assert "mean 1.00" in labels(consistency)
    assert work.get_title() == f"work, mean {cycles['evaluations'].mean():.1f}"


def test_an_experiment_has_one_colour_in_every_figure():
    assert style.colour("l4dvar") == style.RED
    assert style.colour("l4dvar-12h") == style.colour("l4dvar-12h")
    assert len({style.colour(name) for name in EXPERIMENTS}) == len(EXPERIMENTS)
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
