"""The health of an analysis: its numbers are right where the answer is known, and an unhealthy one stops its job."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import worlds
from lara.assimilation import AssimilationError
from lara.assimilation.control import DiagonalControl
from lara.assimilation.cycle import Model, Scheme, Start, assimilate, free
from lara.assimilation.health import require_healthy, row
from lara.assimilation.lbfgs import LBFGS
from lara.assimilation.search import Reason, Tolerance
from lara.assimilation.window import Window
from lorenz import opposite
from toys import normal, observe

WINDOW = Window(np.datetime64("2001-01-01T00", "ns"), np.timedelta64(6, "h"), 4)
VARIANCE, SIGMA, MEMBERS, SIZE = 0.7, 1.3, 60, 40


def persistence(state, _):
    return state


def scheme(**options) -> Scheme:
    """Persistence observed everywhere, B and R known."""
    control = DiagonalControl(torch.full((1, SIZE), VARIANCE, dtype=torch.float64))
    draws = opposite(torch.full((1, 4, SIZE), VARIANCE**0.5, dtype=torch.float64))
    minimiser = LBFGS(evaluations=60, tolerance=Tolerance(1e-8, 0.0))
    own = {"model": Model(persistence), "control": control, "minimiser": minimiser}
    return Scheme(**{**own, **options, "background_draws": draws})


def problem(error: float = 1.0):
    """(backgrounds, data) with errors of the statistics assumed, times `error`."""
    truth = normal(MEMBERS, SIZE, seed=1)
    background = truth + error * VARIANCE**0.5 * normal(MEMBERS, SIZE, seed=2)
    data = observe(truth[:, None].expand(-1, 4, -1), error * SIGMA, seed=3)
    return background, replace(data, error_std=torch.full_like(data.error_std, SIGMA))


@pytest.fixture(scope="module")
def analyses():
    """Sixty windows with the right statistics."""
    background, data = problem()
    return assimilate([WINDOW] * MEMBERS, Start(background), data, scheme())


@pytest.mark.parametrize("key", ["2J/p", "R found/assumed", "HBHT found/assumed"])
def test_ratios_are_one_where_b_and_r_are_right(analyses, key):
    """Mean over sixty independent windows, within four of its own standard errors, which are below 0.05."""
    found = np.array([row(analysis)[key] for analysis in analyses])
    error = found.std(ddof=1) / math.sqrt(MEMBERS)
    assert error < 0.05
    assert abs(found.mean() - 1) < 4 * error


def test_errors_twice_as_large_as_assumed_show_as_four_times_the_variance():
    """All three ratios are quadratic in the departures, which are linear in the errors: exactly fourfold, to the
    convergence of the minimisation."""
    rows = []
    for error in (1.0, 2.0):
        background, data = problem(error)
        truth = normal(MEMBERS, SIZE, seed=1)
        data = replace(data, value=data.value - truth.repeat(1, 4))  # errors alone, so that all is linear in them
        rows.append(row(assimilate([WINDOW] * MEMBERS, Start(background - truth), data, scheme())[0]))
    for key in ("2J/p", "R found/assumed", "HBHT found/assumed"):
        assert rows[1][key] == pytest.approx(4 * rows[0][key], rel=1e-6)


def test_a_row_tells_terms_work_and_data(analyses):
    """J = J_b + J_o at both ends, the start without J_b; p counts the data that were used."""
    found = row(analyses[0])
    assert found["begin"] == WINDOW.begin
    assert found["Jb_start"] == 0.0
    assert found["J_start"] == found["Jo_start"]
    assert found["J_end"] == pytest.approx(found["Jb_end"] + found["Jo_end"], rel=1e-12)
    assert found["p"] == 4 * SIZE
    assert found["rejected"] == 0
    assert found["2J/p"] == pytest.approx(2 * found["J_end"] / found["p"])
    assert (found["evaluations"], found["iterations"]) > (1, 1)
    assert found["products"] == 0
    assert found["reason"] == "gradient tolerance reached"
    assert found["gradient_norm_end"] <= 1e-8 * found["gradient_norm_start"]


def test_a_control_has_neither_work_nor_consistency():
    """Nothing is minimised, so that 2J/p and the ratios are not a number."""
    background, data = problem()
    (analysis, *_) = free([WINDOW] * MEMBERS, Start(background), data, Model(persistence))
    found = row(analysis)
    assert found["evaluations"] == 0
    assert all(math.isnan(found[key]) for key in ("2J/p", "R found/assumed", "HBHT found/assumed"))
    require_healthy(analysis, worst_reduction=1e-9)


def test_an_analysis_without_a_minimum_has_the_consistency_of_its_departures_and_no_work(analyses):
    """As of a method that solves for the analysis, e.g. a Kalman filter: ratios do not ask how it was found."""
    solved = row(replace(analyses[0], minimum=None))
    assert (solved["evaluations"], solved["iterations"]) == (0, 0)
    assert solved["reason"] == "analysed without a minimisation"
    for key in ("p", "J_end", "2J/p", "R found/assumed", "HBHT found/assumed"):
        assert solved[key] == row(analyses[0])[key]
    require_healthy(replace(analyses[0], minimum=None), worst_reduction=1e-9)


def ended(analysis, reason, value, norm):
    """The analysis as if its minimisation had ended so."""
    return replace(analysis, minimum=replace(analysis.minimum, reason=reason, value=value, gradient_norm=norm))


@pytest.mark.parametrize("reason", [Reason.SEARCH, Reason.LIMIT])
def test_a_cost_that_did_not_fall_is_refused_naming_window_and_remedy(analyses, reason):
    """Whatever the gradient says."""
    start = analyses[0].minimum.start_value
    bad = ended(analyses[0], reason, start, 0.0)
    with pytest.raises(AssimilationError) as caught:
        require_healthy(bad, 1.0)
    for part in (str(WINDOW), "J did not fall below its start", str(reason), "minimiser.evaluations"):
        assert part in str(caught.value)


@pytest.mark.parametrize("reason", [Reason.SEARCH, Reason.LIMIT])
def test_a_gradient_that_stayed_large_is_refused_naming_what_is_allowed(analyses, reason):
    """0.3 of its start where 0.2 is allowed, and not where 0.4 is."""
    least = analyses[0].minimum
    bad = ended(analyses[0], reason, 0.5 * least.start_value, 0.3 * least.start_gradient_norm)
    require_healthy(bad, 0.4)
    with pytest.raises(AssimilationError) as caught:
        require_healthy(bad, 0.2)
    for part in (str(WINDOW), "did not converge", "0.30", "0.2 is allowed", "minimiser.worst_reduction"):
        assert part in str(caught.value)


@pytest.mark.parametrize("reason", [Reason.GRADIENT, Reason.DECREASE, Reason.NOTHING])
def test_a_minimisation_that_says_it_converged_is_healthy(analyses, reason):
    """A window without data ends where it starts."""
    least = analyses[0].minimum
    require_healthy(ended(analyses[0], reason, least.start_value, least.start_gradient_norm), 1e-3)


class WrongAdjoint(torch.autograd.Function):
    """The identity with a gradient of the wrong sign."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return -gradient


def test_a_wrong_adjoint_ends_at_the_start_and_is_refused():
    """Every step along −∇J raises J, so that the line search fails where it began."""
    background, data = problem()
    wrong = scheme(model=Model(persistence, decode=WrongAdjoint.apply))
    (analysis, *_) = assimilate([WINDOW] * MEMBERS, Start(background), data, wrong)
    assert analysis.minimum.reason is Reason.SEARCH
    assert analysis.minimum.value == analysis.minimum.start_value
    with pytest.raises(AssimilationError, match="did not fall below its start"):
        require_healthy(analysis, 0.5)


@pytest.mark.parametrize(
    ("minimiser", "words"),
    [
        ({"evaluations": 1}, ["J did not fall below its start", "minimiser.evaluations"]),
        (
            {"evaluations": 3, "worst_reduction": 1e-3},
            ["did not converge", "0.001 is allowed", "minimiser.worst_reduction"],
        ),
    ],
)
@pytest.mark.parametrize("experiment", ["4dvar", "eda"])
def test_an_unhealthy_window_stops_the_job_and_seals_nothing(world, tmp_path, capsys, experiment, minimiser, words):
    """Status 2 and one sentence with window and remedy; one member is enough."""
    values = worlds.changed("minimiser", {**minimiser, "decrease_tolerance": 1e-9, "gradient_tolerance": 1e-9})
    run = worlds.copied(world, tmp_path / "world", values)
    capsys.readouterr()
    assert worlds.lara(run.layout.root, f"cycle-experiment --experiment {experiment}") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    for part in ("lara cycle-experiment: window [2001-01-02T00:00, 2001-01-03T00:00)", *words):
        assert part in line
    assert not run.layout.archive_receipt(experiment).exists()
    assert not run.layout.health(experiment).exists()
