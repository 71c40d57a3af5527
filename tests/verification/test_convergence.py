"""Work of minimisers and gain of batches, by hand arithmetic."""

import numpy as np
import pandas as pd
import pytest

from lara.verification import convergence, throughput


def minimisation(method, window, best, seconds=0.5, converged=100.0):
    """One evaluation after the other; `best` is the lowest J so far."""
    count = np.arange(1, len(best) + 1)
    rows = {"evaluation": count, "value": best, "best": best, "converged": converged, "seconds": seconds * count}
    return pd.DataFrame({"method": method, "window": window, **rows})


@pytest.fixture
def table():
    return pd.concat(
        [
            minimisation("L-BFGS", 0, [200, 110, 100.5, 100]),
            minimisation("L-BFGS", 1, [300, 201.5, 201], converged=200.0),
            minimisation("Adam", 0, [200, 180, 150], seconds=0.25),
            minimisation("Adam", 1, [300, 201.5, 200], seconds=0.25, converged=200.0),
        ],
        ignore_index=True,
    )


def test_work_is_counted_to_the_first_evaluation_within_the_fraction(table):
    """100.5 is within 1 % of 100, and 201.5 of 200; Adam never comes within it in window 0."""
    found = convergence.to_within(table, 0.01).set_index(["method", "window"])
    assert found["evaluations"].to_dict() == {
        ("L-BFGS", 0): 3.0,
        ("L-BFGS", 1): 2.0,
        ("Adam", 0): np.inf,
        ("Adam", 1): 2.0,
    }
    assert found["seconds"].tolist() == [1.5, 1.0, np.inf, 0.5]


def test_the_order_of_rows_does_not_matter(table):
    shuffled = table.sample(frac=1, random_state=0)
    ours, theirs = (convergence.to_within(rows).set_index(["method", "window"]) for rows in (table, shuffled))
    pd.testing.assert_frame_equal(ours, theirs.loc[ours.index])


def test_a_larger_fraction_takes_no_more_work(table):
    near, nearer = (convergence.to_within(table, fraction)["evaluations"] for fraction in (0.6, 0.01))
    assert (near <= nearer).all()
    assert np.isfinite(near).all()


def test_medians_count_a_failure_as_infinite_and_say_how_many_came_near():
    """Of 1, 2, 3, 4 and never, the median is 3; of 1, never, never it is never."""
    rows = {"method": ["a"] * 5 + ["b"] * 3, "window": [*range(5), *range(3)]}
    work = np.array([1, 2, 3, 4, np.inf, 1, np.inf, np.inf])
    first, second = convergence.medians(pd.DataFrame(rows).assign(evaluations=work, seconds=work / 2)).to_dict(
        "records"
    )
    assert (first["method"], first["n"], first["reached"]) == ("a", 5, 4)
    assert [first[name] for name in ("evaluations_low", "evaluations", "evaluations_high")] == [2, 3, 4]
    assert first["seconds"] == 1.5
    assert (second["evaluations_low"], second["evaluations"], second["reached"]) == (1, np.inf, 1)


def test_a_band_is_of_all_windows_also_after_some_have_stopped(table):
    """Window 1 stops 0.5 % above J* after three, window 0 reaches J* at the fourth: there the median is 0.25 %."""
    band = convergence.bands(table)
    ours = band[band["method"] == "L-BFGS"].set_index("evaluation")
    assert ours["n"].tolist() == [2, 2, 2, 2]
    assert ours["median"].tolist() == pytest.approx([0.75, 0.05375, 0.005, 0.0025])
    assert (ours["low"] <= ours["median"]).all() and (ours["median"] <= ours["high"]).all()


def test_evaluations_without_a_row_keep_the_lowest_value_before_them():
    """Gauss-Newton knows J only after each inner solution, here after 1 and 4 evaluations."""
    rows = minimisation("Gauss-Newton", 0, [200, 110]).assign(evaluation=[1, 4])
    assert convergence.bands(rows)["median"].tolist() == pytest.approx([1.0, 1.0, 1.0, 0.1])


def test_a_missing_column_and_a_minimum_of_nothing_are_refused(table):
    with pytest.raises(ValueError, match="lack converged, seconds"):
        convergence.to_within(table.drop(columns=["seconds", "converged"]))
    with pytest.raises(ValueError, match=r"window 1 converged to J\* = 0"):
        convergence.excess(table.assign(converged=table["converged"].where(table["window"] == 0, 0.0)))


@pytest.fixture
def timings():
    """Batch 1: 4, 5, 8 s for 8 windows; batch 4: 2 s. 80 gradients in all."""
    rows = [(1, 4.0, 0), (1, 8.0, 1), (1, 5.0, 2), (4, 2.0, 0)]
    table = pd.DataFrame(rows, columns=["batch", "seconds", "repeat"])
    return table.assign(windows=8, evaluations=80)


def test_throughput_is_the_median_over_repeats_with_its_range(timings):
    one, four = throughput.by_batch(timings[::-1]).to_dict("records")
    assert [one[name] for name in ("rate_low", "rate", "rate_high")] == [1.0, 1.6, 2.0]
    assert [one[name] for name in ("gradient_low", "gradient", "gradient_high")] == [0.05, 0.0625, 0.1]
    assert (one["relative"], one["n"], four["n"]) == (1.0, 3, 1)
    assert four["relative"] == pytest.approx(4 / 1.6)


def test_throughput_without_a_batch_of_one_or_a_column_is_refused(timings):
    with pytest.raises(ValueError, match="no batch of 1"):
        throughput.by_batch(timings[timings["batch"] > 1])
    with pytest.raises(ValueError, match="timings lack windows"):
        throughput.by_batch(timings.drop(columns="windows"))
