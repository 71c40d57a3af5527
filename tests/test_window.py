"""Windows tile time: half open, consecutive, no slot twice."""

import numpy as np
import pytest

from lara.assimilation.window import Window, windows

BEGIN, STEP = np.datetime64("2001-01-01T00", "ns"), np.timedelta64(6, "h")


def test_a_month_of_one_day_windows_holds_every_slot_exactly_once():
    """Concatenated slots are the period's 6-hourly times: integer arithmetic, so equality."""
    end = np.datetime64("2001-02-01T00", "ns")
    slots = np.concatenate([window.slots for window in windows(BEGIN, end, 4, STEP)])
    np.testing.assert_array_equal(slots, np.arange(BEGIN, end, STEP))


def test_a_window_ends_where_the_next_begins_and_its_end_is_no_slot_of_it():
    """[begin, end)."""
    first, second = windows(BEGIN, BEGIN + 8 * STEP, 4, STEP)
    assert first.end == second.begin
    assert first.end not in first.slots
    assert first == Window(BEGIN, STEP, 4)


def test_a_one_slot_window_lasts_one_step():
    """L3DVar every 6 h."""
    assert [w.begin for w in windows(BEGIN, BEGIN + 2 * STEP, 1, STEP)] == [BEGIN, BEGIN + STEP]


def test_a_period_that_ends_before_it_begins_is_refused():
    """An empty reanalysis is a mistake in the configuration."""
    with pytest.raises(ValueError, match="move the end"):
        windows(BEGIN, BEGIN, 4, STEP)


def test_a_period_that_is_not_whole_windows_is_refused_with_both_possible_ends():
    """Five slots in windows of four: end after four or after eight."""
    with pytest.raises(ValueError, match=r"end at 2001-01-02T00.* or 2001-01-03T00"):
        windows(BEGIN, BEGIN + 5 * STEP, 4, STEP)


@pytest.mark.parametrize(("count", "step"), [(0, STEP), (4, np.timedelta64(0, "h"))])
def test_a_window_without_slots_or_step_is_refused(count, step):
    """Both would loop for ever."""
    with pytest.raises(ValueError, match="give"):
        Window(BEGIN, step, count)
