"""Counts of reports by cycle and family, and sentences for what is missing."""

import pandas as pd

from lara.observations import reports
from lara.observations.inventory import gaps, inventory

CYCLES = pd.date_range("2020-11-01", periods=4, freq="6h")


def table(counts):
    """So many reports of each type in each cycle, with two data each."""
    rows = [
        {reports.CYCLE: cycle, reports.TYPE: kind, reports.REPORT: 1000 * kind + number}
        for cycle, kinds in zip(CYCLES, counts, strict=True)
        for kind, many in kinds.items()
        for number in range(many)
        for _ in range(2)
    ]
    return pd.DataFrame(rows)


def test_reports_are_counted_once_each_by_cycle_and_family():
    counts = inventory(table([{120: 3, 220: 2, 180: 1}, {120: 3}, {131: 4}, {999: 1}]))
    assert counts.loc[CYCLES[0]].to_dict() == {"aircraft": 0, "of no family": 0, "ships and buoys": 1, "sondes": 5}
    assert counts["aircraft"].tolist() == [0, 0, 4, 0] and counts["of no family"].tolist() == [0, 0, 0, 1]


def test_cycles_with_less_than_half_of_what_is_usual_are_named():
    counts = inventory(table([{120: 10, 131: 20}, {120: 10, 131: 20}, {120: 4, 131: 11}, {120: 12}]))
    assert gaps(counts) == [
        "2020-11-01 18 UTC has 0 reports of aircraft, where 15.5 are usual",
        "2020-11-01 12 UTC has 4 reports of sondes, where 10 are usual",
    ]


def test_a_family_that_was_asked_for_and_never_came_is_named():
    counts = inventory(table([{120: 10}] * 4))
    assert gaps(counts, ["sondes", "aircraft"]) == ["no cycle has reports of aircraft"]
    assert gaps(counts) == []
