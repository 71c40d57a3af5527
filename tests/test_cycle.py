"""One analysis and many: optimality, exactness, restart, and a stop at the first number that is none."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from lara.assimilation import AssimilationError
from lara.assimilation.control import DiagonalControl
from lara.assimilation.cycle import Model, assimilate, autoencoder_only, cycle, free, next_background
from lara.assimilation.minimise import LBFGS
from lara.assimilation.window import Window, windows
from toys import LinearGaussian, PointObservations, lorenz96, lorenz96_run, normal, observe

BEGIN, STEP = np.datetime64("2001-01-01T00", "ns"), np.timedelta64(6, "h")
TIGHT = LBFGS(evaluations=400, gradient_tolerance=1e-11, decrease_tolerance=0.0)
SIGMA = 1.0


def linear_analysis(problem: LinearGaussian, settings: LBFGS = TIGHT):
    """The problem through `assimilate`: encode is D's pseudo-inverse, so E(D(z_b)) = z_b."""
    inverse = torch.linalg.pinv(problem.decode)
    model = Model(lambda x: problem.step @ x, lambda x: inverse @ x, lambda z: problem.decode @ z)
    window = Window(BEGIN, STEP, problem.slots)
    background = problem.decode @ problem.background
    return assimilate(window, background, problem.observations, model, DiagonalControl(problem.variance), settings)


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("seed", [0, 20])
def test_the_analysis_of_a_linear_gaussian_window_is_the_kalman_answer(slots, seed):
    """At the first slot the BLUE given the whole window (the smoother), at the last the filter; 1e-6, the
    gradient's 1e-11 times the condition number of J being below it."""
    problem = LinearGaussian.random(seed, slots=slots)
    analysis = linear_analysis(problem).analysis
    torch.testing.assert_close(analysis[0], problem.decode @ problem.blue(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(analysis[-1], problem.filtered(), rtol=1e-6, atol=1e-6)


def test_the_increment_of_one_observation_is_a_column_of_the_background_error():
    """δx = BHᵀ(HBHᵀ + R)⁻¹d with B = D B_z Dᵀ in model space: a Dirac, to the minimiser's 1e-6."""
    problem = LinearGaussian.random(slots=1, per_slot=1)
    analysis = linear_analysis(problem)
    b = problem.decode @ torch.diag(problem.variance) @ problem.decode.T
    h, r = problem.observations.rows[0], problem.observations.error_std[0] ** 2
    innovation = problem.observations.value[0] - analysis.hofx_background[0]
    exact = b @ h / (h @ b @ h + r) * innovation
    torch.testing.assert_close(analysis.analysis[0] - analysis.background[0], exact, rtol=1e-6, atol=1e-6)


def lorenz_model(increment_form: bool = False) -> Model:
    """A nonlinear latent space of Lorenz-96 in which encoding loses something."""
    return Model(lorenz96, lambda x: x.round(decimals=1), lambda z: z + 0.01 * torch.sin(z), increment_form)


def four_dvar(variance: float = 0.1, model: Model | None = None, settings: LBFGS | None = None):
    """4D-Var of Lorenz-96 as a cycling method."""
    control = DiagonalControl(torch.full((40,), variance, dtype=torch.float64))
    return partial(
        assimilate,
        model=model or Model(lorenz96),
        control=control,
        settings=settings or LBFGS(evaluations=40),
    )


def missing(p: int = 5) -> PointObservations:
    """Data none of which is there."""
    indices = torch.zeros(p, dtype=torch.long)
    return PointObservations(torch.full((p,), math.nan), torch.full((p,), math.inf), indices, indices)


@pytest.mark.parametrize("p", [0, 5])
@pytest.mark.parametrize("model", [Model(lorenz96), lorenz_model(increment_form=True)])
def test_without_observations_the_analysis_is_the_background_exactly(p, model):
    """χ = 0 to the bit, and so is the trajectory in model space and in increment form; 2J/p is not a
    number."""
    analysis = four_dvar(model=model)(Window(BEGIN, STEP, 4), lorenz96_run(1)[0], missing(p))
    assert torch.equal(analysis.minimum.argument, torch.zeros(40, dtype=torch.float64))
    assert torch.equal(analysis.analysis, analysis.background)
    assert analysis.used == 0
    assert math.isnan(analysis.health["2J/p"])


def test_without_observations_the_latent_analysis_is_the_decoded_background_exactly():
    """D(E(x_b)), the same trajectory as the autoencoder-only control."""
    window, state = Window(BEGIN, STEP, 4), lorenz96_run(1)[0]
    latent = four_dvar(model=lorenz_model())(window, state, missing())
    control = autoencoder_only(window, state, missing(), lorenz_model())
    assert torch.equal(latent.analysis, control.analysis)
    assert not torch.equal(latent.analysis, latent.background)


def test_a_free_run_ignores_its_observations_and_reports_their_fit():
    """Analysis = background; J_o counts ½ Σ(misfit/σ)² at both ends and nothing was evaluated."""
    truth = lorenz96_run(4)
    observations = observe(truth, SIGMA, seed=1)
    analysis = free(Window(BEGIN, STEP, 4), truth[0], observations, Model(lorenz96))
    assert torch.equal(analysis.analysis, analysis.background)
    misfit = (analysis.hofx_analysis - observations.value) / SIGMA
    assert analysis.health["Jo_end"] == pytest.approx(0.5 * float(misfit @ misfit), rel=1e-12)
    assert analysis.used == len(observations.value)
    assert math.isnan(analysis.health["2J/p"])  # nothing was minimised, so there is no J_min
    assert analysis.health["evaluations"] == 0
    assert analysis.health["reason"] == "no observations assimilated"


@pytest.mark.parametrize("evaluations", [1, 2, 4, 40])
def test_the_analysis_never_costs_more_than_the_background(evaluations):
    """J_end ≤ J_start however few evaluations, and J_b + J_o at the end is J of the returned trajectory
    (rounding)."""
    truth = lorenz96_run(4, seed=2)
    observations = observe(truth, SIGMA, seed=1)
    method = four_dvar(settings=LBFGS(evaluations=evaluations))
    analysis = method(Window(BEGIN, STEP, 4), truth[0] + normal(40, seed=3), observations)
    assert analysis.end.total <= analysis.start.total
    misfit = (analysis.hofx_analysis - observations.value) / SIGMA
    assert analysis.end.observations == pytest.approx(0.5 * float(misfit @ misfit), rel=1e-10)
    assert analysis.end.background == 0.5 * float(analysis.minimum.argument.square().sum())


def lorenz_cycle(method, truth, background, first: int = 0, slots: int = 4):
    """Cycle over a truth (time, n), from its window number `first`; observations keyed by the window's
    begin."""
    period = windows(BEGIN, BEGIN + len(truth) * STEP, slots, STEP)[first:]

    def observations_of(window: Window) -> PointObservations:
        at = int((window.begin - BEGIN) / STEP)
        return observe(truth[at : at + slots], SIGMA, seed=at, every=2)

    return cycle(period, background, observations_of, method, lorenz96)


def test_cycled_4dvar_of_lorenz_96_beats_the_free_run_and_its_observations():
    """Half the variables observed with σ = 1, 60 windows of one day after 20 of spin-up: published 4D-Var
    scores are near 0.4; below 0.5 here and 2J/p near 1, the free run is at climate distance, above 3."""
    truth = lorenz96_run(320, seed=1)
    background = truth[0] + normal(40, seed=2)
    analyses = list(lorenz_cycle(four_dvar(0.3), truth, background))
    free_run = list(lorenz_cycle(partial(free, model=Model(lorenz96)), truth, background))
    assert rmse(analyses, truth) < 0.5 * SIGMA
    assert rmse(free_run, truth) > 3.0
    assert np.mean([a.health["2J/p"] for a in analyses[20:]]) == pytest.approx(1.0, abs=0.3)


def rmse(analyses, truth) -> float:
    """Over all variables and slots after 20 windows."""
    error = torch.cat([a.analysis for a in analyses]) - truth
    return float(error[80:].square().mean().sqrt())


def test_a_cycle_resumed_in_the_middle_equals_an_uninterrupted_one_to_the_bit():
    """Trajectories, health and traces, from nothing but the last analysis of the window before."""
    truth, method = lorenz96_run(24, seed=1), four_dvar()
    whole = list(lorenz_cycle(method, truth, truth[0] + 1.0))
    resumed = list(lorenz_cycle(method, truth, next_background(whole[2].analysis, lorenz96), first=3))
    assert len(resumed) == 3
    for a, b in zip(whole[3:], resumed, strict=True):
        assert torch.equal(a.analysis, b.analysis)
        assert torch.equal(a.background, b.background)
        assert a.health == b.health
        assert a.minimum.trace == b.minimum.trace


def test_the_next_background_is_the_forecast_from_the_windows_last_analysis():
    """x_b(w+1) = M(x_{k−1}), to the bit."""
    truth = lorenz96_run(8, seed=1)
    first, second = lorenz_cycle(four_dvar(), truth, truth[0] + 1.0)
    assert torch.equal(second.background[0], lorenz96(first.analysis[-1]))
    assert second.window.begin == first.window.end


def poisoned(name: str):
    """(background, observations, model) with one number that is none, where `name` says."""
    truth = lorenz96_run(4, seed=1)
    background, o, model = truth[0].clone(), observe(truth, SIGMA, seed=1), Model(lorenz96)
    if name == "background":
        background[7] = math.nan
    if name == "forecast":
        model = Model(lambda x: lorenz96(x) / 0.0)
    if name == "encoder":
        model = Model(lorenz96, encode=lambda x: x * math.nan)
    if name == "decoder":
        unobserved = torch.zeros(40, dtype=torch.float64)
        unobserved[39] = math.nan
        model = Model(lambda x: x, decode=lambda z: z + unobserved)
        o = observe(truth, SIGMA, seed=1, every=2)
    if name == "value":
        o.value[3] = math.nan
    if name == "hofx":
        o = type("Undefined", (PointObservations,), {"hofx": lambda self, x: 0.0 * x[0].mean() / 0.0 + self.value})(
            o.value, o.error_std, o.slot, o.index
        )
    return background, o, model


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("background", r"background at 2001-01-01T00.* 1 values"),
        ("forecast", r"background at 2001-01-01T06.* 40 values"),
        ("encoder", "encoded background is not finite"),
        ("decoder", r"analysis at 2001-01-01T00.* 1 values"),
        ("value", "observation 3 has value nan"),
        ("hofx", r"H\(background\) of observation 0 is nan"),
    ],
)
def test_a_number_that_is_none_stops_the_cycle_naming_window_and_place(name, message):
    """Wherever it enters, no analysis is returned."""
    background, observations, model = poisoned(name)
    with pytest.raises(AssimilationError, match=rf"window \[2001-01-01T00:00, 2001-01-02T00:00\): .*{message}"):
        four_dvar(model=model)(Window(BEGIN, STEP, 4), background, observations)


@pytest.mark.parametrize("method", [free, autoencoder_only])
def test_a_control_run_stops_at_a_number_that_is_none_too(method):
    """The controls are checked like the analyses."""
    background, observations, model = poisoned("background")
    with pytest.raises(AssimilationError, match="background at"):
        method(Window(BEGIN, STEP, 4), background, observations, model)


def test_analyses_carry_no_graph():
    """Months of cycles must not keep every window's graph alive."""
    truth = lorenz96_run(4, seed=1)
    weight = torch.ones(40, dtype=torch.float64, requires_grad=True)
    model = Model(lambda x: lorenz96(x) * weight, decode=lambda z: z * weight)
    analysis = four_dvar(model=model)(Window(BEGIN, STEP, 4), truth[0], observe(truth, SIGMA, seed=1))
    tensors = (analysis.analysis, analysis.background, analysis.hofx_background, analysis.hofx_analysis)
    assert not any(tensor.requires_grad for tensor in (*tensors, analysis.minimum.argument))
