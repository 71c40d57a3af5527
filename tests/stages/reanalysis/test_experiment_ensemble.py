"""Ensembles of analyses: members that depend on themselves alone, the spread that is archived, and what it is for."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import worlds
from lara import store
from lara.assimilation.control import DiagonalControl
from lara.assimilation.cycle import Model, Scheme, Start, assimilate
from lara.assimilation.gaussnewton import GaussNewton
from lara.assimilation.search import Tolerance
from lara.assimilation.window import Window
from lara.config import Factors
from lara.stages.experiments import windows_of
from lara.stages.observations.reader import ObservationReader
from lara.stages.reanalysis.ensemble import Ensemble, degrees_of_freedom, smoothed
from lara.stages.reanalysis.first_background import first_background
from lara.stages.reanalysis.variational import scheme
from lara.stages.run import time
from toys import LinearGaussian, normal

WINDOW = Window(np.datetime64("2001-01-01", "ns"), np.timedelta64(6, "h"), 3)


def with_members(world, folder, count, **values):
    """(run, its ensemble `eda`, first background, windows) with another number of members."""
    changed = copy.deepcopy(worlds.VALUES)
    changed["experiments"]["eda"] = {**worlds.ENSEMBLE, "members": count, **values}
    run = worlds.copied(world, folder, changed)
    background = first_background(run, "test", 24)
    chosen = run.config.experiments["eda"]
    period = windows_of(chosen, *(time(moment) for moment in run.config.period("eda")))
    return run, Ensemble(run, "eda", scheme(run, "eda", [Factors()], background, period[0])), background, period


def zonal_std(states):
    """Standard deviation (c, y) of states (n, c, y, x), their variance averaged round each latitude."""
    return states.var(0).mean(-1).sqrt()


IN_MODEL_SPACE = {"method": "4dvar", "autoencoder": None, "flow_dependence": 0.0}


# What is left


@pytest.mark.parametrize("name", ["eda", "posterior"])
def test_the_archive_holds_the_spread_of_the_members(cycled, name):
    """Their standard deviation at every slot of the headline channels, to float32; above zero everywhere."""
    run = cycled(name)
    members, archive = (
        xr.load_dataset(run.layout.members(name))["analysis"],
        store.open_archive(run.layout.archive(name)),
    )
    assert members.sizes["member"] == {"eda": 3, "posterior": 16}[name]
    assert np.array_equal(members["time"], archive["time"])
    for channel, long, level in (("z500", "geopotential", 500), ("t850", "temperature", 850)):
        chosen = members.sel(channel=channel).values.astype(float)
        spread = archive[f"{long}_spread"].sel(level=level).values
        np.testing.assert_allclose(spread, chosen.std(0, ddof=1), rtol=1e-3, atol=1e-3 * spread.max())
        assert (spread > 0).all()


def test_the_archived_analysis_is_the_mean_of_the_members(cycled):
    """To float32; the background too is a mean, which lies between those of the members."""
    run = cycled("eda")
    members, archive = (
        xr.load_dataset(run.layout.members("eda"))["analysis"],
        store.open_archive(run.layout.archive("eda")),
    )
    found = archive["geopotential"].sel(level=500).values
    np.testing.assert_allclose(found, members.sel(channel="z500").mean("member"), rtol=1e-6)


def test_the_archived_analysis_with_a_posterior_is_that_without(cycled):
    """Draws of the posterior tell the spread and change nothing: to the bit the analysis of the experiment without."""
    run = cycled("posterior")
    cycled("l4dvar")
    with_it, without = (store.open_archive(run.layout.archive(name)) for name in ("posterior", "l4dvar"))
    first = without.isel(time=slice(0, 8))
    for name in ("geopotential", "2m_temperature", "temperature_background"):
        assert np.array_equal(with_it[name].values, first[name].values)
    assert not any(name.endswith("_spread") for name in without)


def test_observations_leave_less_spread_than_b(cycled):
    """Of the posterior's draws at the first slot, against the draws of B that the background check rests on."""
    run = cycled("posterior")
    archive = store.open_archive(run.layout.archive("posterior"))
    own = scheme(run, "posterior", [Factors()], first_background(run, "test", 24), WINDOW)
    before = zonal_std(own.background_draws.errors[0, :, 0])[run.channels.position("z500")].mean()
    assert archive["geopotential_spread"].sel(level=500).values[0].mean() < float(before)


def test_an_ensemble_is_scored_by_all_its_members(cycled):
    """Spread and error of the mean of z500 by hand at the first time."""
    run = cycled("eda")
    assert worlds.lara(run.layout.root, "score-ensemble --experiment eda") == 0
    sums = xr.load_dataset(run.layout.ensemble_scores("eda"))
    assert sums.sizes["time"] == 8
    assert sums["channel"].values.tolist() == ["z500", "t850"]
    assert np.isfinite(sums.to_array()).all()


# Members


def test_a_member_starts_alike_whoever_else_is_there(world, tmp_path):
    """Members 0 and 1 of two and of three: first background, its next disturbance, and observations, to float32 since
    batches of other sizes may sum in another order."""
    found = []
    for count in (2, 3):
        run, ensemble, background, period = with_members(world, tmp_path / str(count), count)
        start = ensemble.start(background, period[0]).background
        read = ObservationReader(run, "eda", "test", [1.0] * count, perturbed=True)
        found.append((start[:2], ensemble.disturb(period[1], start)[:2], read(period[0]).value[:2]))
    for two, three in zip(*found, strict=True):
        torch.testing.assert_close(two, three, rtol=1e-5, atol=1e-5)
        assert not torch.equal(two[0], two[1])


def test_first_backgrounds_spread_like_b(world, tmp_path):
    """In model space B^½ ξ is added as it is: the zonal mean std of forty members is that of other draws of B to 20 %,
    where each latitude holds 16 points of forty members; the mean is the background to 4 σ / √40."""
    _, ensemble, background, period = with_members(world, tmp_path / "w", 40, **IN_MODEL_SPACE)
    start = ensemble.start(background, period[0]).background
    found, expected = zonal_std(start), zonal_std(ensemble.scheme.background_draws.errors[0, :, 0])
    assert float((found / expected).log().abs().mean().exp()) < 1.2
    assert ((start.mean(0) - background[0]).abs() < 4.5 * start.std(0) / math.sqrt(40)).all()


def test_inflation_adds_so_much_of_b_and_none_where_it_is_zero(world, tmp_path):
    """In model space the noise is linear in its amount, the same draw for a window and member: ratio 0.3 to float32."""
    _, ensemble, background, period = with_members(world, tmp_path / "some", 3, **IN_MODEL_SPACE)
    _, calm, _, _ = with_members(world, tmp_path / "none", 3, **IN_MODEL_SPACE, inflation=0.0)
    states = background.expand(3, -1, -1, -1)
    whole = ensemble.start(background, period[1]).background - states
    part = ensemble.disturb(period[1], states) - states
    scale = whole.abs().amax((0, 2, 3), keepdim=True)
    assert ((part - 0.3 * whole).abs() < 1e-2 * scale).all()
    assert calm.disturb(period[1], states) is states
    assert not torch.allclose(ensemble.disturb(period[0], states), ensemble.disturb(period[1], states))


def test_perturbed_observations_have_the_errors_assumed(world, tmp_path):
    """(y_i − y)/σ ~ N(0, 1) over members and used data: std 1 to 5 %, mean 0 to 0.05; data not used stay."""
    run, _, _, period = with_members(world, tmp_path / "w", 8)
    plain = ObservationReader(run, "eda", "test", [1.0] * 8)(period[0])
    perturbed = ObservationReader(run, "eda", "test", [1.0] * 8, perturbed=True)(period[0])
    noise = ((perturbed.value - plain.value) / plain.error_std)[plain.used]
    assert float(noise.std()) == pytest.approx(1.0, abs=0.05)
    assert abs(float(noise.mean())) < 0.05
    assert torch.equal(perturbed.value[~plain.used], plain.value[~plain.used])
    assert torch.equal(perturbed.error_std, plain.error_std)


# Flow-dependent variances


def test_means_over_neighbours_go_around_the_globe_and_stop_at_the_poles():
    """A constant stays; a unit in a corner reaches its nine neighbours, across the date line, and twice where the row
    beyond the pole is the row itself."""
    assert torch.equal(smoothed(torch.full((1, 2, 3, 4), 5.0)), torch.full((1, 2, 3, 4), 5.0))
    field = torch.zeros(1, 1, 3, 5)
    field[0, 0, 0, 0] = 9.0
    expected = torch.tensor([[2.0, 2, 0, 0, 2], [1, 1, 0, 0, 1], [0, 0, 0, 0, 0]])
    torch.testing.assert_close(smoothed(field)[0, 0], expected)


def test_variances_are_refreshed_by_the_share_configured(world, tmp_path):
    """(1 − w) B + w s², with s² of the encoded backgrounds averaged over neighbours, as J shows: J_b of one analysis is
    that of a scheme with this B, to the bit."""
    run, ensemble, background, period = with_members(world, tmp_path / "w", 3)
    start = ensemble.start(background, period[0])
    read = ObservationReader(run, "eda", "test", [1.0] * 3, perturbed=True)
    with torch.no_grad():
        latent = ensemble.scheme.model.encode(start.background)
    variance = 0.6 * ensemble.scheme.control.variance + 0.4 * smoothed(latent.var(0, keepdim=True))
    own = copy.copy(ensemble.scheme)
    object.__setattr__(own, "control", DiagonalControl(variance))
    found = ensemble([period[0]] * 3, start, read(period[0]))
    expected = assimilate([period[0]] * 3, start, read(period[0]), own)
    assert [a.end for a in found] == [a.end for a in expected]
    plain = assimilate([period[0]] * 3, start, read(period[0]), ensemble.scheme)
    assert [a.end for a in found] != [a.end for a in plain]


# Information


def linear_ensemble(problem, members, seed):
    """Analyses of one linear-Gaussian window with perturbed data and backgrounds."""
    many = problem.repeated(members)
    data, latent = many.observations, many.background
    many = many.observing(data.value + data.error_std * normal(*data.value.shape, seed=seed))
    start = many.decoded(latent + many.variance.sqrt() * normal(*latent.shape, seed=seed + 1))
    model = Model(many.stepped, many.encoded, many.decoded)
    exact = GaussNewton(inner=20, inner_tolerance=1e-12, tolerance=Tolerance(1e-9, 0.0))
    return assimilate(
        [WINDOW] * members, Start(start), many.observations, Scheme(model, DiagonalControl(many.variance), exact)
    )


def test_degrees_of_freedom_of_an_ensemble_are_the_trace_of_hk():
    """Twelve ensembles of fifty members: their mean within four of its standard errors, which are below 6 %."""
    problem = LinearGaussian.random(seed=4)
    found = [degrees_of_freedom(linear_ensemble(problem, 50, 10 * seed)) for seed in range(1, 13)]
    g = problem.scaled_operator()[0]
    exact = float(torch.linalg.solve(torch.eye(18, dtype=torch.float64) + g @ g.T, g @ g.T).trace())
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert error < 0.06 * exact
    assert abs(np.mean(found) - exact) < 4 * error


def test_data_that_a_member_rejects_do_not_count_and_one_member_tells_nothing():
    """The same as without these data, exactly; NaN for one member."""
    analyses = linear_ensemble(LinearGaussian.random(seed=4), 5, 1)
    whole = degrees_of_freedom(analyses)
    parts = [a.fit for a in analyses]
    share = (
        torch.stack([f.value / f.error_std for f in parts]),
        torch.stack([f.hofx_analysis / f.error_std for f in parts]),
    )
    last = torch.cov(torch.stack([share[0][:, -1], share[1][:, -1]]))[0, 1]
    analyses[2].fit.error_std[-1] = math.inf
    assert degrees_of_freedom(analyses) == pytest.approx(whole - float(last), rel=1e-9)
    assert math.isnan(degrees_of_freedom(analyses[:1]))


def test_the_ledger_tells_the_ensembles_degrees_of_freedom_with_every_member(cycled):
    """One number per window, repeated for its members; finite."""
    run = cycled("eda")
    ledger = pd.read_parquet(run.layout.health("eda"))
    assert np.isfinite(ledger["degrees_of_freedom"]).all()
    assert (ledger.groupby("begin")["degrees_of_freedom"].nunique() == 1).all()
