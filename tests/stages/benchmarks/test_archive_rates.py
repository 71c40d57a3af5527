"""The benchmark of archives runs, and compares every task with bare arrays of the same content."""

from lara.stages.benchmarks import timing
from lara.stages.benchmarks.archive_rates import BARE, measure_archive


def test_every_task_is_compared_with_bare_arrays(cycled, monkeypatch):
    """What is read and written is not judged by its speed: only that each way was timed, and beside which."""
    monkeypatch.setattr(timing, "TURNS", 1)
    seen = []
    table = measure_archive(cycled("l4dvar"), lambda done, total: seen.append((done, total)))
    assert set(table["task"]) == {"write a month", "read a month", "read a map", "read a variable at a place"}
    assert (table.loc[table["name"] == BARE, "over_reference"] == 1).all()
    assert (table.groupby("task")["name"].apply(lambda names: BARE in set(names))).all()
    assert (table["ms"] > 0).all()
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
