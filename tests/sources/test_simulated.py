"""The simulated atmosphere: vertical interpolation on analytic columns, and short runs of the real model.

Analytic columns are an atmosphere of constant lapse rate γ over orography, T = T₀ (p/p₀)^(Rγ/g), for which
Φ(p) = (g/γ) (T₀ − T(p)) and the sea level pressure p₀ are exact.
"""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from lara.grid import Grid
from lara.sources import simulated, vertical
from lara.sources.simulated import Simulation
from lara.sources.vertical import DRY_AIR, GRAVITY, LAPSE_RATE, SigmaState

SIGMA = np.array([0.025, 0.095, 0.2, 0.34, 0.51, 0.685, 0.835, 0.95])
LEVELS = [50, 200, 500, 850, 1000]
BRIEF = Simulation(truncation=21, layers=8, time_step_minutes=30, spin_up_days=2, perturbation=1.0, seed=3)
BEGIN, END = np.datetime64("2000-12-30"), np.datetime64("2001-01-03")


def lapse_atmosphere(heights, warmth=285.0, sea_level_pressure=101_000.0):
    """Dry columns of LAPSE_RATE over ground at `heights` (m), shape (1, layer, n, 1)."""
    exponent = DRY_AIR * LAPSE_RATE / GRAVITY
    ground = GRAVITY * np.asarray(heights, dtype=float)[:, None]
    surface = sea_level_pressure * (1 - LAPSE_RATE * ground / GRAVITY / warmth) ** (1 / exponent)
    pressure = SIGMA[:, None, None] * surface
    temperature = (warmth * (pressure / sea_level_pressure) ** exponent)[None]
    zero = np.zeros_like(temperature)
    geopotential = GRAVITY / LAPSE_RATE * (warmth - temperature)
    return SigmaState(SIGMA, geopotential, temperature, zero, zero + 10.0, zero - 5.0, surface[None], ground)


def exact(levels, warmth=285.0, sea_level_pressure=101_000.0):
    exponent = DRY_AIR * LAPSE_RATE / GRAVITY
    temperature = warmth * (100.0 * np.asarray(levels) / sea_level_pressure) ** exponent
    return GRAVITY / LAPSE_RATE * (warmth - temperature), temperature


def test_pressure_is_reduced_to_sea_level_exactly_over_and_under_the_sea():
    """Within 30 Pa up to 3 km: the reduction is a series of the third order in Γz/T, and T* a linear estimate."""
    found = vertical.mean_sea_level_pressure(lapse_atmosphere([-300, 0, 500, 1500, 3000]))
    np.testing.assert_allclose(found, 101_000.0, atol=30.0)
    np.testing.assert_allclose(found[0, 1], 101_000.0, atol=1e-6)


def test_levels_inside_the_column_and_below_the_ground_follow_the_lapse_rate():
    """T to 0.6 K and Φ to 30 m² s⁻² (3 m): between levels a power of p is taken as linear in log p."""
    found = vertical.to_pressure_levels(lapse_atmosphere([0, 1500, 3000]), [200, 500, 700, 850, 1000])
    geopotential, temperature = exact([200, 500, 700, 850, 1000])
    np.testing.assert_allclose(found["t"][0, :, :, 0], np.repeat(temperature[:, None], 3, 1), atol=0.6)
    np.testing.assert_allclose(found["z"][0, :, :, 0], np.repeat(geopotential[:, None], 3, 1), atol=30.0)


def test_interpolation_is_exact_at_the_model_levels():
    """At σ_k p_s every variable is the model's own (humidity but for its floor), to rounding."""
    state = lapse_atmosphere([800.0])
    levels = (SIGMA * state.surface_pressure.item() / 100).tolist()
    found = vertical.to_pressure_levels(state, levels)
    np.testing.assert_allclose(found["z"], state.geopotential, rtol=1e-12)
    np.testing.assert_allclose(found["t"], state.temperature, rtol=1e-12)
    assert found["u"] == pytest.approx(10.0) and found["v"] == pytest.approx(-5.0)
    assert found["q"] == pytest.approx(vertical.HUMIDITY_FLOOR)


def test_geopotential_bends_as_the_temperature_demands():
    """Φ'' = −R T' in ln p inside each interval: in a dry column to 1e-3 of R T' (difference over 1 hPa)."""
    levels = np.arange(520, 675, 1.0)  # within one interval of sigma levels: 0.51 to 0.685
    found = vertical.to_pressure_levels(lapse_atmosphere([0.0]), levels)
    height, warmth, x = found["z"][0, :, 0, 0], found["t"][0, :, 0, 0], np.log(levels)
    slope = np.diff(height) / np.diff(x)
    bend = np.diff(slope) / np.diff(0.5 * (x[1:] + x[:-1]))
    np.testing.assert_allclose(bend, -DRY_AIR * np.diff(warmth)[1:] / np.diff(x)[1:], rtol=1e-3)


def test_extrapolation_is_continuous_at_the_ground():
    """Φ and T a tenth of a pascal above and below the ground differ by no more than their gradients."""
    state = lapse_atmosphere([1000.0], warmth=310.0)
    ground = state.surface_pressure.item() / 100
    found = vertical.to_pressure_levels(state, [ground - 1e-3, ground + 1e-3])
    assert abs(np.diff(found["z"], axis=1)).item() < 0.5 and abs(np.diff(found["t"], axis=1)).item() < 1e-3


def test_hot_and_cold_ground_give_a_plausible_sea_level_pressure():
    """Bounded ground temperatures bring the sea level pressure down over cold and up over hot plateaus."""
    cold = lapse_atmosphere([3000.0], warmth=240.0)
    assert vertical.mean_sea_level_pressure(cold).item() < 101_000.0
    hot = lapse_atmosphere([3000.0], warmth=315.0)
    assert vertical.mean_sea_level_pressure(hot).item() > 101_000.0


def test_humidity_is_never_zero_and_hardly_changed_where_it_is_moist():
    """positive(0) is the floor; above ten floors the change is under 1 %."""
    assert vertical.positive(np.zeros(1)) == vertical.HUMIDITY_FLOOR
    moist = np.geomspace(1e-6, 2e-2, 50)
    np.testing.assert_allclose(vertical.positive(moist), moist, rtol=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truncation": 20}, "truncation 20"),
        ({"time_step_minutes": 35.0}, "35.0"),
        ({"perturbation": 0.0}, "same"),
    ],
)
def test_an_impossible_simulation_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        Simulation(**{**BRIEF.__dict__, **change})


@pytest.mark.parametrize(
    ("begin", "end", "message"),
    [("2001-01-02", "2001-01-02", "in this order"), ("2001-01-01T06", "2001-01-02", "not a whole day")],
)
def test_an_impossible_period_is_refused_before_the_model_is_built(tmp_path, begin, end, message):
    with pytest.raises(ValueError, match=message):
        next(run(tmp_path, begin=np.datetime64(begin), end=np.datetime64(end)))


def test_segments_are_calendar_months_cut_at_both_ends_and_where_the_run_resumes():
    cuts = simulated._segments(*np.array(["2000-12-30", "2001-01-15", "2001-03-01"], dtype="M8[D]"))
    assert [str(start) for start, _ in cuts] == ["2000-12-30", "2001-01-01", "2001-01-15", "2001-02-01"]
    assert str(cuts[-1][1]) == "2001-03-01"


def test_importing_the_source_does_not_import_jax():
    """`lara --help` must not pay for it."""
    check = "import sys, lara.sources.simulated; sys.exit('jax' in sys.modules or 'jcm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def run(folder, member=0, begin=BEGIN, end=END, **options):
    progress = options.pop("progress", lambda done, total: None)
    restarts = folder / options.pop("restarts", "restarts")  # beside one another they share compiled code
    return simulated.months(BRIEF, member, begin, end, LEVELS, restarts, progress, **options)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """One uninterrupted run over the turn of the year: its months, its folder and the progress it reported."""
    folder, reported = tmp_path_factory.mktemp("reference"), []
    found = list(run(folder, progress=lambda done, total: reported.append((done, total))))
    return found, folder, reported


@pytest.fixture(scope="module")
def atmosphere(reference):
    return simulated.Atmosphere(21, 8, 30, BEGIN, reference[1] / "compiled")


@pytest.mark.slow
def test_months_are_complete_finite_and_on_the_promised_grid(reference):
    found, _, reported = reference
    assert [str(start) for start, _ in found] == ["2000-12-30", "2001-01-01"]
    states = xr.concat([month for _, month in found], dim="time")
    expected = np.arange(BEGIN, END, np.timedelta64(6, "h"), dtype="M8[ns]")
    np.testing.assert_array_equal(states.time, expected)
    assert set(states.data_vars) == {"z", "q", "t", "u", "v", "msl", "t2m", "u10", "v10"}
    assert states.z.dims == ("time", "level", "latitude", "longitude") and states.level.values.tolist() == LEVELS
    assert simulated.grid(BRIEF) == Grid("gaussian", states.latitude.values, states.longitude.values)
    assert all(values.dtype == np.float32 and np.isfinite(values).all() for values in states.data_vars.values())
    assert (states.q > 0).all()
    assert reported == [(day, 6) for day in range(1, 7)]


@pytest.mark.slow
def test_the_model_has_the_grid_and_constants_that_we_state(atmosphere):
    """Latitudes to float32 rounding; g and R of the vertical interpolation are the model's."""
    latitude = np.rad2deg(atmosphere.model.coords.horizontal.latitudes)[::-1]
    np.testing.assert_allclose(simulated.grid(BRIEF).latitude, latitude, atol=1e-4)
    longitude = np.rad2deg(atmosphere.model.coords.horizontal.longitudes)
    np.testing.assert_allclose(simulated.grid(BRIEF).longitude, longitude, atol=1e-4)
    constants = atmosphere.model.dycore.constants
    assert constants.grav == GRAVITY and constants.rd == pytest.approx(DRY_AIR)


@pytest.mark.slow
def test_mass_mountains_and_hemispheres_are_where_they_belong(atmosphere):
    """Mean p_s within 1 % of the real 985 hPa; Tibet above 3 km; in December the south is warmer."""
    state = atmosphere.start(simulated._noise(BRIEF, 0))
    _, frames = atmosphere.day(state, BEGIN)
    weights = simulated.grid(BRIEF).area_weights
    assert np.average(frames["ps"][0], weights=weights) == pytest.approx(98_500.0, rel=0.01)
    height = xr.DataArray(atmosphere.surface_geopotential / GRAVITY, dims=("latitude", "longitude"))
    height = height.assign_coords(latitude=simulated.grid(BRIEF).latitude, longitude=simulated.grid(BRIEF).longitude)
    assert float(height.sel(latitude=33, longitude=90, method="nearest")) > 3000
    assert abs(float(height.sel(latitude=0, longitude=200, method="nearest"))) < 300
    warm = frames["t2m"][0].mean(axis=1)
    assert warm[16:].mean() > warm[:16].mean()


@pytest.mark.slow
def test_boundary_conditions_follow_the_calendar_round_the_year(atmosphere):
    """Northern sea surface warmest in July; 31 December and 1 January differ by less than 0.1 K."""
    from jcm.date import DateData, to_datetime

    def northern_sea(date):
        now = DateData.set_date(to_datetime(date), np.int32(0), 1800.0)
        return float(np.mean(atmosphere.forcing.select(now).sea_surface_temperature[:, 20:]))

    december, january, july = map(northern_sea, ("2000-12-31", "2001-01-01", "2001-07-01"))
    assert july > january + 5 and 0 < abs(december - january) < 0.1


@pytest.mark.slow
def test_a_run_killed_after_a_month_resumes_to_the_same_bits(reference):
    """From the restart at the month's end, and also after the spin-up when later restarts are gone."""
    found, folder, _ = reference
    days = []
    resumed = list(run(folder, resume=found[1][0], progress=lambda done, total: days.append(total)))
    assert [start for start, _ in resumed] == [found[1][0]] and days == [2, 2]
    xr.testing.assert_identical(resumed[0][1], found[1][1])
    for restart in (folder / "restarts").glob("*-2001-01-01.npz"):
        restart.unlink()
    again = list(run(folder, resume=found[1][0], progress=lambda done, total: days.append(total)))
    assert days[2:] == [4] * 4
    xr.testing.assert_identical(again[0][1], found[1][1])


@pytest.mark.slow
def test_an_extended_run_goes_on_where_the_shorter_one_ended(reference):
    """[begin, mid) and then [mid, end) equal [begin, end) bit for bit, wherever mid falls in a month."""
    (found, folder, _), middle = reference, np.datetime64("2001-01-02")
    first = list(run(folder, end=middle, restarts="extended"))
    rest = list(run(folder, resume=middle, restarts="extended"))
    whole = xr.concat([month for _, month in found], dim="time")
    xr.testing.assert_identical(xr.concat([month for _, month in first + rest], dim="time"), whole)


@pytest.mark.slow
def test_members_differ(reference):
    found, folder, _ = reference
    other = next(run(folder, member=1))[1]
    assert float(np.abs(other.t - found[0][1].t).max()) > 0.1


@pytest.mark.slow
def test_a_broken_restart_is_refused_with_its_name(reference):
    _, folder, _ = reference
    path = max((folder / "restarts").glob("*-2001-01-03.npz"))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=f"{path.name} cannot be read"):
        next(run(folder, end=np.datetime64("2001-01-05"), resume=END))
    path.unlink()
