"""Analyses of single windows: what observations, their absence, outliers and checks make of them."""

import math
from dataclasses import replace

import pytest
import torch

from lara.assimilation.control import DiagonalControl
from lara.assimilation.cycle import (
    Model,
    Scheme,
    Start,
    assimilate,
    autoencoder_only,
    cost_function,
    free,
)
from lara.assimilation.gaussnewton import GaussNewton
from lara.assimilation.health import row
from lara.assimilation.lbfgs import LBFGS
from lara.assimilation.quality import Huber
from lara.assimilation.search import Reason, Tolerance
from lara.assimilation.window import Window
from lorenz import BEGIN, DAY, SIGMA, STEP, checked, lorenz_problem, lorenz_scheme
from toys import LinearGaussian, PointObservations, everyone, lorenz96, lorenz96_run, lorenz96_step

TIGHT = LBFGS(evaluations=400, tolerance=Tolerance(1e-11, 0.0))


EXACT = GaussNewton(inner=100, inner_tolerance=1e-13, tolerance=Tolerance(1e-11, 0.0))


def linear_analyses(problem: LinearGaussian, minimiser=TIGHT, **options):
    """The problems through `assimilate`: encode is D's pseudo-inverse, so E(D(z_b)) = z_b."""
    model = Model(problem.stepped, problem.encoded, problem.decoded)
    scheme = Scheme(model, DiagonalControl(problem.variance), minimiser, **options)
    start = Start(problem.decoded(problem.background))
    return assimilate([Window(BEGIN, STEP, problem.slots)] * len(start.background), start, problem.observations, scheme)


def first_states(analyses):
    """x at the first slot of each."""
    return torch.stack([analysis.analysis[0] for analysis in analyses])


@pytest.mark.parametrize("minimiser", [TIGHT, EXACT], ids=["lbfgs", "gaussnewton"])
@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("seed", [0, 20])
def test_the_analysis_of_a_linear_gaussian_window_is_the_kalman_answer(slots, seed, minimiser):
    """At the first slot the BLUE given the whole window (the smoother), at the last the filter; 1e-6, the
    gradient's 1e-11 times the condition number of J being below it. Three windows at once."""
    problem = LinearGaussian.random(seed, slots=slots, members=3)
    analyses = linear_analyses(problem, minimiser)
    torch.testing.assert_close(first_states(analyses), problem.decoded(problem.blue()), rtol=1e-6, atol=1e-6)
    last = torch.stack([analysis.analysis[-1] for analysis in analyses])
    torch.testing.assert_close(last, problem.filtered(), rtol=1e-6, atol=1e-6)


def test_the_increment_of_one_observation_is_a_column_of_the_background_error():
    """δx = BHᵀ(HBHᵀ + R)⁻¹d with B = D B_z Dᵀ in model space: a Dirac, to the minimiser's 1e-6."""
    problem = LinearGaussian.random(slots=1, per_slot=1)
    (analysis,) = linear_analyses(problem)
    b = problem.decode @ torch.diag(problem.variance[0]) @ problem.decode.T
    h, r = problem.observations.rows[0, 0], problem.observations.error_std[0, 0] ** 2
    innovation = problem.observations.value[0, 0] - analysis.fit.hofx_background[0]
    exact = b @ h / (h @ b @ h + r) * innovation
    torch.testing.assert_close(analysis.analysis[0] - analysis.background[0], exact, rtol=1e-6, atol=1e-6)


def outlier(problem: LinearGaussian, sigmas: float = 50.0) -> LinearGaussian:
    """The problem with datum 4 wrong by so many σ."""
    o = problem.observations
    value = o.value.clone()
    value[:, 4] += sigmas * o.error_std[:, 4]
    return problem.observing(value)


def moved(problem: LinearGaussian, **options) -> float:
    """How far, in units of its std, an outlier moves the latent analysis."""
    before, after = (
        torch.stack([a.minimum.argument for a in linear_analyses(each, EXACT, **options)])
        for each in (problem, outlier(problem))
    )
    return float((after - before).norm())


def test_an_outlier_of_fifty_sigma_pulls_a_gaussian_analysis_and_hardly_a_huber_one():
    """Huber's influence is at most c σ however wrong the datum: χ moves at most by |G'ᵀ e| 2c ≤ 2c |G'_4|, since
    (I + …)⁻¹ contracts; a Gaussian moves it by the solution's own column."""
    problem = LinearGaussian.random()
    row = problem.scaled_operator()[0, 4]
    gain = torch.linalg.solve(
        torch.eye(8, dtype=torch.float64) + problem.scaled_operator()[0].T @ problem.scaled_operator()[0], row
    )
    assert moved(problem) == pytest.approx(50 * float(gain.norm()), rel=1e-6)
    huber = moved(problem, norm=Huber(1.5))
    assert huber <= 2 * 1.5 * float(row.norm())
    assert huber < 0.2 * moved(problem)


def test_the_weight_of_a_datum_is_what_huber_left_of_it():
    """min(1, c/|d|) with d the departure from the analysis: far below one for the outlier, one for an unused datum."""
    problem = outlier(LinearGaussian.random())
    error = problem.observations.error_std.clone()
    error[0, 7] = math.inf
    (analysis,) = linear_analyses(problem.observing(problem.observations.value, error), EXACT, norm=Huber(1.5))
    fit = analysis.fit
    departure = ((fit.hofx_analysis - fit.value) / fit.error_std).abs()
    torch.testing.assert_close(fit.weight, (1.5 / departure).clamp(max=1.0))
    assert fit.weight[4] < 0.1
    assert fit.weight[7] == 1.0


@pytest.mark.parametrize("minimiser", [LBFGS(), GaussNewton()])
def test_a_rejected_outlier_is_as_if_it_had_not_been_there(minimiser):
    """The background check takes out the datum wrong by 50 σ, and only that one; the analysis equals that of a window
    without it to rounding."""
    background, o = lorenz_problem(2)
    value = o.value.clone()
    value[1, 5] += 50.0
    scheme = lorenz_scheme(minimiser, **checked())
    with_it = assimilate([DAY] * 2, Start(background), replace(o, value=value), scheme)
    absent = torch.zeros_like(value, dtype=torch.bool)
    absent[1, 5] = True
    without = assimilate([DAY] * 2, Start(background), o.without(absent), scheme)
    assert torch.equal(torch.stack([a.fit.rejected for a in with_it]), absent)
    assert with_it[1].fit.used == o.value.shape[1] - 1
    for a, b in zip(with_it, without, strict=True):
        torch.testing.assert_close(a.analysis, b.analysis, rtol=1e-10, atol=1e-10)


def test_the_check_reports_the_background_errors_it_assumed_also_where_it_rejects_nothing():
    """H of unit variance is one at every point; without a check it is not a number."""
    background, o = lorenz_problem()
    for options, expected in ((checked(), 1.0), (checked(threshold=None), 1.0), ({}, math.nan)):
        (analysis,) = assimilate([DAY], Start(background), o, lorenz_scheme(**options))
        torch.testing.assert_close(
            analysis.fit.background_std, torch.full((80,), expected, dtype=torch.float64), equal_nan=True
        )
        assert not analysis.fit.rejected.any()


def lorenz_model() -> Model:
    """A nonlinear latent space of Lorenz-96 in which encoding loses something."""
    return Model(lorenz96_step, lambda x: x.round(decimals=1), lambda z: z + 0.01 * torch.sin(z))


def missing(members: int = 1, p: int = 5) -> PointObservations:
    """Data none of which is there."""
    indices = torch.zeros(members, p, dtype=torch.long)
    return PointObservations(torch.full((members, p), math.nan), torch.full((members, p), math.inf), indices, indices)


@pytest.mark.parametrize("minimiser", [LBFGS(), GaussNewton()])
@pytest.mark.parametrize("p", [0, 5])
@pytest.mark.parametrize("options", [{}, {"model": lorenz_model(), "increment_form": True}])
def test_without_observations_the_analysis_is_the_background_exactly(p, options, minimiser):
    """χ = 0 to the bit, and so is the trajectory in model space and in increment form; 2J/p is not a
    number."""
    background = lorenz96_run(1, members=2)[:, 0]
    for analysis in assimilate([DAY] * 2, Start(background), missing(2, p), lorenz_scheme(minimiser, **options)):
        assert torch.equal(analysis.minimum.argument, torch.zeros(40, dtype=torch.float64))
        assert torch.equal(analysis.analysis, analysis.background)
        assert analysis.fit.used == 0
        assert analysis.minimum.reason is Reason.NOTHING
        assert math.isnan(row(analysis)["2J/p"])


@pytest.mark.parametrize("minimiser", [LBFGS(), GaussNewton()])
def test_a_window_whose_data_are_all_rejected_keeps_its_background_exactly(minimiser):
    """All data of the second window 100 σ away: NOTHING to minimise there, while the first is analysed."""
    background, o = lorenz_problem(2)
    value = o.value.clone()
    value[1] += 100.0
    first, second = assimilate(
        [DAY] * 2, Start(background), replace(o, value=value), lorenz_scheme(minimiser, **checked())
    )
    assert second.fit.rejected.all()
    assert torch.equal(second.analysis, second.background)
    assert (second.minimum.reason, second.minimum.evaluations) == (Reason.NOTHING, 1)
    assert first.end.total < first.start.total


def test_without_observations_the_latent_analysis_is_the_decoded_background_exactly():
    """D(E(x_b)), the same trajectory as the autoencoder-only control."""
    start = Start(lorenz96_run(1)[:, 0])
    (latent,) = assimilate([DAY], start, missing(), lorenz_scheme(model=lorenz_model()))
    (control,) = autoencoder_only([DAY], start, missing(), lorenz_model())
    assert torch.equal(latent.analysis, control.analysis)
    assert not torch.equal(latent.analysis, latent.background)


@pytest.mark.parametrize("scheme", [lorenz_scheme(), lorenz_scheme(EXACT, **checked())])
def test_a_missing_datum_has_no_effect_on_the_analysis_whatever_its_value(scheme):
    """NaN with an infinite error equals leaving it out, to rounding."""
    background, o = lorenz_problem()
    value, error = o.value.clone(), o.error_std.clone()
    value[0, 3], error[0, 3] = math.nan, math.inf
    masked = assimilate([DAY], Start(background), replace(o, value=value, error_std=error), scheme)
    left_out = assimilate([DAY], Start(background), o.keep(torch.arange(80) != 3), scheme)
    torch.testing.assert_close(masked[0].analysis, left_out[0].analysis, rtol=1e-10, atol=1e-10)
    assert masked[0].fit.used == left_out[0].fit.used == 79
    assert not masked[0].fit.rejected.any()


def test_a_free_run_ignores_its_observations_and_reports_their_fit():
    """Analysis = background; J_o counts ½ Σ(misfit/σ)² at both ends and nothing was evaluated."""
    background, observations = lorenz_problem(2)
    for analysis, value in zip(
        free([DAY] * 2, Start(background), observations, Model(lorenz96_step)), observations.value, strict=True
    ):
        assert torch.equal(analysis.analysis, analysis.background)
        misfit = (analysis.fit.hofx_analysis - value) / SIGMA
        health = row(analysis)
        assert health["Jo_end"] == pytest.approx(0.5 * float(misfit @ misfit), rel=1e-12)
        assert analysis.fit.used == len(value)
        assert math.isnan(health["2J/p"])  # nothing was minimised, so there is no J_min
        assert health["evaluations"] == 0
        assert health["reason"] == "no observations assimilated"


@pytest.mark.parametrize("evaluations", [1, 2, 4, 40])
def test_the_analysis_never_costs_more_than_the_background(evaluations):
    """J_end ≤ J_start however few evaluations, and J_b + J_o at the end is J of the returned trajectory
    (rounding)."""
    background, observations = lorenz_problem(2)
    scheme = lorenz_scheme(LBFGS(evaluations=evaluations))
    for analysis in assimilate([DAY] * 2, Start(background), observations, scheme):
        assert analysis.end.total <= analysis.start.total
        misfit = (analysis.fit.hofx_analysis - analysis.fit.value) / SIGMA
        assert analysis.end.observations == pytest.approx(0.5 * float(misfit @ misfit), rel=1e-10)
        assert analysis.end.background == 0.5 * float(analysis.minimum.argument.square().sum())


@pytest.mark.parametrize(
    "scheme",
    [
        lorenz_scheme(norm=Huber(1.0), **checked()),
        lorenz_scheme(
            GaussNewton(),
            model=lorenz_model(),
            increment_form=True,
            forcing=DiagonalControl(torch.full((1, 40), 0.01, dtype=torch.float64)),
        ),
    ],
    ids=["huber, checked", "weak constraint, increments"],
)
def test_a_batch_of_windows_gives_the_analyses_of_each_alone(scheme):
    """Different windows of one period assimilated at once: trajectories to 1e-9, the path's amplification of rounding,
    and every number of the health ledger."""
    background, o = lorenz_problem(3)
    days = [Window(BEGIN + 4 * i * STEP, STEP, 4) for i in range(3)]
    together = assimilate(days, Start(background), o, scheme)
    for day, member, many in zip(days, everyone(3), together, strict=True):
        (one,) = assimilate([day], Start(background[member]), o.select(member), scheme)
        assert many.window == day
        torch.testing.assert_close(many.analysis, one.analysis, rtol=1e-9, atol=1e-9)
        assert (many.minimum.reason, many.minimum.evaluations) == (one.minimum.reason, one.minimum.evaluations)
        numbers = {name: value for name, value in row(one).items() if name not in ("begin", "reason")}
        assert {name: row(many)[name] for name in numbers} == pytest.approx(numbers, rel=1e-6, nan_ok=True)


def test_the_weak_constraint_in_increment_form_starts_from_the_background_itself():
    """J at χ = 0 is the misfit of the forecast from x_b, not of that from D(E(x_b)); to rounding."""
    background, o = lorenz_problem()
    forcing = DiagonalControl(torch.full((1, 40), 0.01, dtype=torch.float64))
    scheme = lorenz_scheme(model=lorenz_model(), increment_form=True, forcing=forcing)
    cost = cost_function([DAY], background, o, scheme)
    (run,) = free([DAY], Start(background), o, scheme.model)
    assert float(cost.value_and_gradient(cost.zeros())[0]) == pytest.approx(run.end.observations, rel=1e-12)
    assert cost.zeros().shape == (1, 4, 40)


def test_analyses_carry_no_graph():
    """Months of cycles must not keep every window's graph alive."""
    background, observations = lorenz_problem()
    weight = torch.ones(40, dtype=torch.float64, requires_grad=True)
    model = Model(lambda x, _: lorenz96(x) * weight, decode=lambda z: z * weight)
    for minimiser in (LBFGS(), GaussNewton()):
        (analysis,) = assimilate([DAY], Start(background), observations, lorenz_scheme(minimiser, model=model))
        tensors = (analysis.analysis, analysis.background, *vars(analysis.fit).values(), analysis.minimum.argument)
        assert not any(tensor.requires_grad for tensor in tensors)
