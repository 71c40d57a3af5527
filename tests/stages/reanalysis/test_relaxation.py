"""Forecasts relax towards the climatology of the time of year where the configuration asks for it."""

import copy

import numpy as np
import pytest
import torch

import worlds

TIMES = np.array(["2001-01-05T00", "2001-07-05T00"], "M8[ns]")


@pytest.fixture
def states(world):
    """Two states far from the climatology."""
    store = world.store("test")
    return world.tensor(store.at(store.times[[3, 7]])) + 5.0


def with_relaxation(world, folder, days):
    """The same run with another time of relaxation."""
    values = copy.deepcopy(worlds.VALUES)
    values["forecaster"]["relaxation_days"] = days
    return worlds.copied(world, folder / f"relaxed-{days}", values)


def climatology(run, times):
    return torch.from_numpy(run.statistics.climatology_at(times))


def test_a_step_is_the_networks_less_its_share_of_the_anomaly(world, tmp_path, states):
    """M(x) − (6 h / τ) (x − climatology(t)), each member at its own time; to float32 rounding of states of 10⁵ Pa."""
    free, relaxed = with_relaxation(world, tmp_path, None), with_relaxation(world, tmp_path, 2.0)
    expected = free.forecast_step(states, TIMES) - (states - climatology(world, TIMES)) / 8
    torch.testing.assert_close(relaxed.forecast_step(states, TIMES), expected, rtol=1e-6, atol=1e-5)


def test_each_member_relaxes_to_the_climatology_of_its_own_time(world, tmp_path, states):
    """An annual wave of 8 K makes the same state's step differ by a sixteenth of its swing between January and July."""
    run = with_relaxation(world, tmp_path, 4.0)
    run.statistics.climatology[1] += 8.0
    same = states[:1].expand(2, -1, -1, -1)
    january, july = run.forecast_step(same, TIMES)
    swing = torch.from_numpy(np.diff(run.statistics.climatology_at(TIMES), axis=0)[0])
    assert swing.abs().min() > 10
    torch.testing.assert_close(july - january, swing / 16, rtol=0, atol=0.05)


def test_without_it_the_time_of_year_does_not_matter(world, tmp_path, states):
    """To the bit."""
    free = with_relaxation(world, tmp_path, None)
    assert torch.equal(free.forecast_step(states, TIMES), free.forecast_step(states, TIMES[::-1]))


def test_a_persistent_anomaly_is_a_third_after_the_time_of_relaxation(world, tmp_path):
    """(1 − 1/40)⁴⁰ = 0.363 where the network changes nothing; to float32 rounding of states of 10⁵ Pa."""
    run = with_relaxation(world, tmp_path, 10.0)
    torch.nn.init.zeros_(run.forecaster.leave.weight)
    torch.nn.init.zeros_(run.forecaster.leave.bias)
    begin = climatology(run, TIMES)  # the same all year, for a month of training has no annual cycle
    end = run.forecast(begin + 100.0, TIMES, 40)
    torch.testing.assert_close(end - begin, torch.full_like(end, 100 * (1 - 1 / 40) ** 40), rtol=0, atol=0.3)


def test_a_longer_forecast_is_the_step_repeated_at_its_times(world, states):
    """To the bit."""
    once = world.forecast_step(states, TIMES)
    assert torch.equal(world.forecast(states, TIMES, 2), world.forecast_step(once, TIMES + world.step))
