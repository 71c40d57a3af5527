"""Windows that fail: the background in their place, flagged, and no more in a row than are forgiven."""

import re
from functools import partial

import numpy as np
import pytest
import torch

from lara.assimilation import FAILED, AssimilationError
from lara.assimilation.cycle import Start, assimilate, cycle
from lara.assimilation.failure import Forgiving
from lara.assimilation.health import require_healthy, row
from lorenz import lorenz_scheme, observed, period
from toys import lorenz96_run, lorenz96_step, normal

HEALTHY = partial(require_healthy, worst_reduction=0.5)


@pytest.fixture
def truth():
    """A day has four slots of a window; two members, ten windows."""
    return lorenz96_run(40, seed=1, members=2)


def spoiling(truth, bad):
    """Observations of windows, those of the windows numbered `bad` of a size that no cost can hold, in one member."""
    read, windows = observed(truth), period(truth)

    def of(window):
        data = read(window)
        if windows.index(window) in bad:
            data.value[1] = 1e200
        return data

    return of


def cycled(truth, bad=(), most=0, failed=0):
    """Analyses, and the method that made them."""
    start = Start(truth[:, 0] + normal(2, 40, seed=2))
    method = Forgiving(partial(assimilate, scheme=lorenz_scheme()), lorenz96_step, HEALTHY, most, failed)
    return cycle(period(truth), start, spoiling(truth, bad), method, lorenz96_step), method


def test_a_failure_stops_where_none_is_forgiven(truth):
    found, _ = cycled(truth, [2])
    with pytest.raises(AssimilationError, match=re.escape(f"window {period(truth)[2]}")):
        list(found)


def test_the_background_of_every_member_stands_for_an_analysis_that_failed_in_one(truth):
    """With the reason, no datum used, and the next window from its forecast; before it, nothing is another."""
    found, _ = cycled(truth, [2], most=1)
    plain, _ = cycled(truth)
    analyses, undisturbed = list(found), list(plain)
    for one, other in zip(analyses[:2], undisturbed[:2], strict=True):
        assert all(torch.equal(a.analysis, b.analysis) for a, b in zip(one, other, strict=True))
    for member, analysis in enumerate(analyses[2]):
        assert torch.equal(analysis.analysis, analysis.background)
        assert torch.equal(analysis.background, undisturbed[2][member].background)
        assert not analysis.assimilated and "not finite" in analysis.failure
        assert row(analysis)["reason"] == FAILED
        follows = lorenz96_step(analysis.background[-1:], np.array([[analysis.window.slots[-1]]]))
        assert torch.equal(analyses[3][member].background[0], follows[0])
    assert not any(analysis.failure for number in (0, 1, *range(3, 10)) for analysis in analyses[number])


def test_as_many_in_a_row_as_are_forgiven_and_no_more(truth):
    """Failures that are not neighbours do not count together, those of the job before do."""
    assert len(list(cycled(truth, [1, 2, 4, 5, 7, 9], most=2)[0])) == 10
    for bad, failed in (([3, 4, 5], 0), ([0], 2), ([0, 1], 1)):
        with pytest.raises(AssimilationError, match="so did the 2 windows before it"):
            list(cycled(truth, bad, most=2, failed=failed)[0])


def test_a_background_that_is_not_finite_stands_for_nothing(truth):
    start = Start(torch.full((2, 40), torch.nan, dtype=truth.dtype))
    method = Forgiving(partial(assimilate, scheme=lorenz_scheme()), lorenz96_step, HEALTHY, most=9)
    with pytest.raises(AssimilationError, match=r"background .* not finite"):
        list(cycle(period(truth), start, observed(truth), method, lorenz96_step))


def test_an_analysis_that_is_not_healthy_fails_like_one_that_is_not_finite(truth):
    """However it was judged."""

    def ill(analysis):
        raise AssimilationError("ill")

    start = Start(truth[:, 0])
    method = Forgiving(partial(assimilate, scheme=lorenz_scheme()), lorenz96_step, ill, most=10)
    analyses = list(cycle(period(truth), start, observed(truth), method, lorenz96_step))
    assert {analysis.failure for each in analyses for analysis in each} == {"ill"}
    assert method.failed == len(analyses)
