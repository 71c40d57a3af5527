"""Windows tile time: half open, consecutive, and no datum is new to two of them."""

from itertools import pairwise

import numpy as np
import pytest

from lara.assimilation.window import Window, windows

BEGIN, STEP = np.datetime64("2001-01-01T00", "ns"), np.timedelta64(6, "h")


@pytest.mark.parametrize(("slots", "overlap"), [(4, 0), (4, 2), (8, 4), (6, 4), (1, 0), (5, 4)])
def test_every_slot_of_a_month_is_fresh_in_exactly_one_window(slots, overlap):
    """Concatenated fresh slots are the period's 6-hourly times: integer arithmetic, so equality."""
    end = BEGIN + 124 * STEP
    fresh = np.concatenate([window.fresh for window in windows(BEGIN, end, slots, STEP, overlap)])
    np.testing.assert_array_equal(fresh, np.arange(BEGIN, end, STEP))


def test_a_window_ends_where_the_next_begins_and_its_end_is_no_slot_of_it():
    """[begin, end)."""
    first, second = windows(BEGIN, BEGIN + 8 * STEP, 4, STEP)
    assert first.end == second.begin
    assert first.end not in first.slots
    assert first == Window(BEGIN, STEP, 4)


def test_an_overlapping_window_begins_before_the_end_of_the_one_before():
    """Windows of a day every half day: two slots shared, and only the first window has none that are old."""
    first, second, third = windows(BEGIN, BEGIN + 8 * STEP, 4, STEP, overlap=2)
    assert [window.overlap for window in (first, second, third)] == [0, 2, 2]
    np.testing.assert_array_equal(second.slots[:2], first.slots[2:])
    assert second.begin == first.end - 2 * STEP
    assert third.end == BEGIN + 8 * STEP


def test_a_windows_data_lie_half_a_step_around_its_slots():
    """A datum belongs to the nearest slot: from 21 h the day before to 21 h, half open."""
    window = Window(BEGIN, STEP, 4)
    assert window.data_span == (np.datetime64("2000-12-31T21"), np.datetime64("2001-01-01T21"))
    assert window.fresh_from == window.data_span[0]


@pytest.mark.parametrize("overlap", [0, 2])
def test_fresh_data_of_consecutive_windows_tile_the_period(overlap):
    """[fresh_from, end of the data) of a window ends where that of the next begins."""
    tiles = [(w.fresh_from, w.data_span[1]) for w in windows(BEGIN, BEGIN + 12 * STEP, 4, STEP, overlap)]
    assert tiles[0][0] == BEGIN - STEP // 2
    assert tiles[-1][1] == BEGIN + 12 * STEP - STEP // 2
    assert all(before[1] == after[0] for before, after in pairwise(tiles))


def test_data_of_an_overlap_were_used_by_the_window_before():
    """Old data lie in the span of both windows and before `fresh_from`."""
    first, second = windows(BEGIN, BEGIN + 6 * STEP, 4, STEP, overlap=2)
    assert second.data_span[0] == BEGIN + 2 * STEP - STEP // 2
    assert second.fresh_from == first.data_span[1]


def test_a_one_slot_window_lasts_one_step():
    """L3DVar every 6 h."""
    assert [w.begin for w in windows(BEGIN, BEGIN + 2 * STEP, 1, STEP)] == [BEGIN, BEGIN + STEP]


def test_a_period_that_ends_before_it_begins_is_refused():
    """An empty reanalysis is a mistake in the configuration."""
    with pytest.raises(ValueError, match="move the end"):
        windows(BEGIN, BEGIN, 4, STEP)


@pytest.mark.parametrize(
    ("steps", "overlap", "ends"),
    [(5, 0, "01-02T00.* or 2001-01-03T00"), (3, 0, "01-02T00"), (5, 2, "01-02T00.* or 2001-01-02T12")],
)
def test_a_period_that_is_not_whole_windows_is_refused_with_possible_ends(steps, overlap, ends):
    """Five slots in windows of four: end after four or eight, with two shared after four or six."""
    with pytest.raises(ValueError, match=rf"end at 2001-{ends}"):
        windows(BEGIN, BEGIN + steps * STEP, 4, STEP, overlap)


@pytest.mark.parametrize(("count", "step"), [(0, STEP), (4, np.timedelta64(0, "h"))])
def test_a_window_without_slots_or_step_is_refused(count, step):
    """Both would loop for ever."""
    with pytest.raises(ValueError, match="give"):
        Window(BEGIN, step, count)


@pytest.mark.parametrize("overlap", [-1, 4, 5])
def test_an_overlap_that_leaves_no_fresh_slot_is_refused(overlap):
    """The windows would never advance; said before any is made."""
    with pytest.raises(ValueError, match=r"cannot overlap by .*; choose 0 … 3"):
        windows(BEGIN, BEGIN + 12 * STEP, 4, STEP, overlap)


def test_a_window_names_its_interval():
    """For error messages."""
    assert str(Window(BEGIN, STEP, 4)) == "[2001-01-01T00:00, 2001-01-02T00:00)"
