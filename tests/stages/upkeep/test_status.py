"""`lara status`: what receipts, ledgers, locks and logs tell of a run, by hand."""

import pytest

import worlds
from lara.stages.reanalysis import cycle
from lara.stages.upkeep.status import status

STREAMS = {
    "early": {"begin": "2001-01-02", "end": "2001-01-04", "chunk_days": 1},
    "late": {"begin": "2001-01-04", "end": "2001-01-07", "spin_up_days": 1},
}


class Killed(BaseException):
    """What no code of ours catches."""


@pytest.fixture
def run(world, tmp_path):
    return worlds.copied(world, tmp_path / "w", worlds.changed("production", {"streams": {"free": STREAMS}}))


def row(run, name, stream):
    table = status(run)
    (found,) = table[(table["experiment"] == name) & (table["stream"] == stream)].to_dict("records")
    return found


def test_what_has_not_begun_waits(run):
    """Windows to be cycled include the spin-up."""
    found = row(run, "free", "late")
    assert (found["windows"], found["of"], found["last_time"], found["state"]) == (0, 4, "-", "waiting")


def test_a_stream_tells_the_last_time_and_speed_of_its_chunks(run):
    """One of two chunks: one window to 18 UTC; the time left is what is left at the speed so far."""
    assert worlds.lara(run.layout.root, "cycle-chunk --chunk free/early/20010102T00") == 0
    found = row(run, "free", "early")
    assert (found["windows"], found["of"], found["last_time"]) == (1, 2, "2001-01-02T18:00")
    assert found["hours_left"] == pytest.approx(1 / found["per_hour"])
    assert found["state"] == "ended"
    assert worlds.lara(run.layout.root, "cycle-chunk --chunk free/early/20010103T00") == 0
    assert row(run, "free", "early")["state"] == "done"


def test_a_job_at_work_names_its_process_and_one_that_failed_its_last_words(run, monkeypatch, capsys):
    """Seen from within, while the lock is held; then after an end with an error in the log."""
    seen, analyse = [], cycle.analyse

    def watched(*arguments):
        for number, analyses in enumerate(analyse(*arguments)):
            if number == 2:
                seen.append(row(run, "autoencoder-only", "-"))
                raise Killed
            yield analyses

    monkeypatch.setattr(cycle, "analyse", watched)
    with pytest.raises(Killed):
        worlds.lara(run.layout.root, "cycle-experiment --experiment autoencoder-only")
    assert (seen[0]["windows"], seen[0]["of"]) == (2, 5)
    assert seen[0]["state"].startswith("cycled by process ")
    log = run.layout.log("cycle-experiment-autoencoder-only")
    log.parent.mkdir(parents=True)
    log.write_text("autoencoder-only, windows ...\nlara cycle-experiment: window [a, b): J is not finite\n\n")
    assert row(run, "autoencoder-only", "-")["state"].endswith("J is not finite")
    capsys.readouterr()
    assert worlds.lara(run.layout.root, "status") == 0
    assert "J is not finite" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "hello"])
def test_a_lock_that_was_cut_off_is_named_and_the_rest_is_told(run, capsys, content):
    """Power was lost as the lock was written."""
    lock = run.layout.cycled("autoencoder-only").lock
    lock.parent.mkdir(parents=True)
    lock.write_text(content)
    assert row(run, "autoencoder-only", "-")["state"].startswith(f"unknown; {lock} is not a lock")
    assert worlds.lara(run.layout.root, "status") == 0
    assert "free" in capsys.readouterr().out
