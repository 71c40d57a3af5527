"""The networks of the small run: the contracts of assimilation on them, what training leaves, and what is measured."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

import worlds
from contracts import adjoint_gap, kalman_gap, taylor_order
from lara.assimilation.control import BlockControl, DiagonalControl, HorizontalControl
from lara.assimilation.cost import CostFunction
from lara.assimilation.quality import Huber
from lara.assimilation.trajectory import StrongConstraint, WeakConstraint, autonomous
from lara.autoencoder import Autoencoder
from lara.covariance.latent import LatentVariance
from lara.covariance.spectral import SpectralCovariance
from lara.observations import table as tables
from lara.observations.batches import from_table
from lara.stages.covariance import background_error
from lara.stages.models import train
from lara.stages.networks import RunWithNetworks
from toys import clock, normal

SLOTS, DATA = 4, 24
PROBLEMS = ["main", "main, block", "main, horizontal", "main, increments", "main, weak", "pca", "model", "model, weak"]


@pytest.fixture(scope="module")
def run(world):
    """The small run."""
    return world


# Contracts on the networks themselves


def problem(run, kind):
    """J of the first window with the run's own modules made nonlinear, in float64, and two dozen observations.

    kind: an autoencoder or `model`, and after a comma what is special.
    """
    space, _, special = kind.partition(", ")
    strong, encode = strong_constraint(run, space, special)
    trajectory = strong
    if special == "weak":
        trajectory = WeakConstraint(strong, encode, control_of(run, space, "", 0.1))
    return CostFunction(trajectory, observed(run))


def strong_constraint(run, space, special):
    """χ ↦ x_0 … x_3 around a perturbed first state, and the encoder."""
    mean, scale = run.normaliser.mean.double(), run.normaliser.scale.double()
    forecaster = worlds.nonlinear(run.new_forecaster())
    encode = decode = same
    if space != "model":
        module = worlds.nonlinear(run.new_autoencoder(space))
        module.linear.load_state_dict(run.autoencoder(space).double().linear.state_dict())
        encode = lambda x: module.encode((x - mean) / scale)  # noqa: E731
        decode = lambda z: mean + scale * module.decode(z)  # noqa: E731
    control = control_of(run, space, special)
    latent = encode(torch.from_numpy(run.store("test").read(slice(0, 1))).double())
    latent = latent + control.apply(0.1 * normal(*control.zeros(1).shape, seed=1))
    anchor = (decode(latent) + 0.1 * scale, decode(latent)) if special == "increments" else None

    def step(x, _):
        return mean + scale * forecaster((x - mean) / scale)

    return StrongConstraint(latent.detach(), control, decode, step, clock(1, SLOTS), anchor), encode


def same(x):
    return x


def control_of(run, space, special="", share=1.0):
    """B^½ of a space in float64, every variance times `share`."""
    arrays, factor = background_error.load(run, space), torch.full((1,), share, dtype=torch.float64)
    if space == "model":
        found = SpectralCovariance.from_arrays(arrays).control(torch.float64)
        return found.with_factors(factor, torch.ones_like(factor))
    variance = share * torch.from_numpy(arrays["variance"])[None]
    if special == "horizontal":
        factor = torch.from_numpy(LatentVariance(**arrays).wave_factor).to(torch.complex128)
        return HorizontalControl(variance, factor)
    if special == "block":
        return BlockControl(variance, torch.from_numpy(LatentVariance(**arrays).factor))
    return DiagonalControl(variance)


def observed(run):
    """Two dozen data of the first four slots, spread over sites, variables and slots."""
    truth = run.store("test")
    table = tables.read(run.layout.observations("test", "2001-01"))
    rows = tables.between(table[~table["withheld"]], truth.times[0], truth.times[SLOTS])
    return from_table(rows.iloc[:: -(-len(rows) // DATA)], run.grid, run.channels, truth.times[:SLOTS])


@pytest.mark.parametrize("kind", PROBLEMS)
def test_the_gradient_through_the_networks_passes_the_taylor_test(run, kind):
    """Slope 2 of the remainder, h = 1e-1 … 1e-4 in float64; third-order terms bend it by less than 0.1."""
    cost = problem(run, kind)
    shape = cost.zeros().shape
    steps = [10.0**-k for k in (1, 2, 3, 4)]
    assert taylor_order(cost, normal(*shape, seed=2), normal(*shape, seed=3), steps) == pytest.approx(2.0, abs=0.1)


def test_the_gradient_of_a_huber_norm_through_the_networks_passes_the_taylor_test(run):
    """ρ has no second derivative at its threshold, which moves few of the data across: the slope keeps to 0.2."""
    cost = replace(problem(run, "main"), norm=Huber(1.0))
    shape = cost.zeros().shape
    steps = [10.0**-k for k in (2, 3, 4)]
    assert taylor_order(cost, normal(*shape, seed=2), normal(*shape, seed=3), steps) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("kind", PROBLEMS)
def test_the_gradient_through_the_networks_is_the_adjoint_of_their_tangent_linear(run, kind):
    """⟨G′δχ, δy⟩ = ⟨δχ, G′ᵀδy⟩ through decoder, three forecast steps and H, to float64 rounding of sums of ~1000."""
    cost = problem(run, kind)
    shape, count = cost.zeros().shape, cost.observations.value.shape[1]
    gap = adjoint_gap(cost, normal(*shape, seed=4), normal(*shape, seed=5), normal(1, count, seed=6))
    assert gap < 1e-12


@pytest.mark.parametrize("kind", PROBLEMS)
def test_the_networks_approach_the_kalman_solution_as_innovations_shrink(run, kind):
    """|∇J(χ_a)| / |∇J(0)| is the networks' second derivative times the increment: a tenth of the innovation, a tenth of
    the gap (30 %), down to a thousandth of σ_o, where the linear solution is right to 1 %."""
    cost = problem(run, kind)
    innovation = cost.observations.error_std * normal(1, cost.observations.value.shape[1], seed=7)
    large, small = kalman_gap(cost, 1e-2 * innovation), kalman_gap(cost, 1e-3 * innovation)
    assert small < 1e-2
    assert large / small == pytest.approx(10, rel=0.3)


@pytest.mark.parametrize("kind", ["pca", "model", "model, weak"])
def test_a_linear_chain_is_the_kalman_smoother(run, kind):
    """PCA or model space with persistence is affine: the gap is float64 rounding times the condition of G′G′ᵀ + I."""
    cost = problem(run, kind)
    weak = isinstance(cost.trajectory, WeakConstraint)
    strong = replace(cost.trajectory.strong if weak else cost.trajectory, step=autonomous(same))
    affine = replace(cost, trajectory=replace(cost.trajectory, strong=strong) if weak else strong)
    innovation = cost.observations.error_std * normal(1, cost.observations.value.shape[1], seed=7)
    assert kalman_gap(affine, innovation) < 1e-9


@pytest.mark.parametrize("kind", ["main", "main, weak", "model"])
def test_every_slot_moves_the_gradient(run, kind):
    """An observation of any of the four slots pulls on χ through the forecaster."""
    cost = problem(run, kind)
    _, whole = cost.value_and_gradient(cost.zeros())
    for slot in range(SLOTS):
        without = replace(cost, observations=cost.observations.without(cost.observations.slot == slot))
        assert (without.value_and_gradient(cost.zeros())[1] - whole).abs().max() > 1e-6 * whole.abs().max()


# The linear path and what training leaves


def test_the_linear_path_is_the_pca_of_the_training_states(run):
    """Latent elements of the training states have mean 0 and, area-weighted, variance 1 and no correlation; float32."""
    module = run.autoencoder("pca")
    states = run.normaliser.normalise(torch.from_numpy(run.stores("training")[0].read(slice(None))))
    latent = module.encode(states).double().permute(0, 2, 3, 1)
    area = run.area_weights().double().unfold(0, 4, 4).unfold(1, 4, 4).mean((-1, -2))
    share = area / area.sum() / len(states)
    mean = torch.einsum("nhwl,hw->l", latent, share)
    second = torch.einsum("nhwl,nhwm,hw->lm", latent, latent, share)
    torch.testing.assert_close(mean, torch.zeros(12).double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(second, torch.eye(12).double(), rtol=0, atol=1e-3)


def test_a_transformer_starts_where_the_pca_is(run):
    """Fitted on the same states, before its residual is trained: the same reconstruction to the bit."""
    module = run.new_autoencoder("main")
    weights = train.channel_weights(run, run.config.autoencoders["main"].training)
    train.fit_linear_path(run, module, weights, train.training_states(run, "main"))
    pca: Autoencoder = run.autoencoder("pca")
    states = run.normaliser.normalise(torch.from_numpy(run.store("test").read([0, 9])))
    assert torch.equal(module(states), pca(states))


def test_measured_errors_are_those_by_hand(run):
    """Area-weighted RMSE over all test states per channel, in SI; float32 sums."""
    scores = xr.load_dataset(run.layout.network_scores("pca"))
    states = torch.from_numpy(run.store("test").read(slice(None)))
    encode, decode = run.encoding("pca")
    squares = (decode(encode(states)) - states).double() ** 2 * run.area_weights()
    by_hand = squares.mean((0, 2, 3)).sqrt().numpy()
    np.testing.assert_allclose(scores["rmse"], by_hand, rtol=1e-4)
    np.testing.assert_allclose(scores["pca_rmse"], by_hand, rtol=1e-4)
    forecast = xr.load_dataset(run.layout.network_scores("forecaster"))
    assert (forecast["rmse"][0] == 0).all()
    assert (np.diff(forecast["persistence_rmse"][:4], axis=0) > 0).all()


def test_training_again_gives_the_same_weights(run, tmp_path):
    """Initial weights, samples and arithmetic are a function of the configuration: byte for byte."""
    for part in ("config.yaml", "data"):
        source = run.layout.root / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / part)
    again = RunWithNetworks.open(tmp_path)
    for name, words in (("main", "train-autoencoder --autoencoder main"), ("forecaster", "train-forecaster")):
        torch.manual_seed(99)
        assert worlds.lara(tmp_path, words) == 0
        assert again.layout.weights(name).read_bytes() == run.layout.weights(name).read_bytes()


def test_samples_are_counted_as_they_were_used(run):
    """Periods shorter than what is asked for: all states, and all stretches of a forecast's length."""
    states = {use: len(run.stores(use)[0].times) for use in ("test", "validation")}
    for use, path in (("validation", run.layout.errors), ("test", run.layout.network_scores)):
        of_states, of_forecasts = (xr.load_dataset(path(name)) for name in ("main", "forecaster"))
        length = of_forecasts.sizes["step" if use == "validation" else "lead_time"]
        assert of_states.attrs["samples"] == states[use]
        assert of_forecasts.attrs["samples"] == states[use] - length + 1


def test_errors_in_r_know_nothing_of_the_test_period(run):
    """What R holds is measured where no score is: the representation error by hand, over the validation states."""
    states = torch.from_numpy(run.store("validation").read(slice(None)))
    encode, decode = run.encoding("main")
    squares = (decode(encode(states)) - states).double() ** 2 * run.area_weights()
    found = xr.load_dataset(run.layout.errors("main"))
    np.testing.assert_allclose(found["representation_error"], squares.mean((0, 2, 3)).sqrt().numpy(), rtol=1e-4)
    assert set(found) == {"representation_error"}
    assert set(xr.load_dataset(run.layout.errors("forecaster"))) == {"model_error"}


def test_a_random_stream_depends_on_its_name_alone(run):
    """Whatever was drawn before: the same numbers for a name, others for another."""
    first = run.generator("sites").standard_normal(3)
    run.generator("other").standard_normal(100)
    assert np.array_equal(run.generator("sites").standard_normal(3), first)
    assert not np.array_equal(run.generator("sites", 1).standard_normal(3), first)


def test_values_by_channel_go_before_values_by_variable(run):
    """z500 by its own name, z850 by its variable; without either the name is told."""
    assert run.per_channel({"z": 1.0, "z500": 2.0}, 0.0).tolist() == [0, 0, 2, 1, 0, 0]
    with pytest.raises(KeyError, match="'msl'"):
        run.per_channel({"z": 1.0})
