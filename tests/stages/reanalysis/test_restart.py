"""Restarts between windows: the state to the bit, refused when it is not whole or of something else."""

import pytest
import torch

import worlds
from damage import flip
from lara.assimilation.cycle import Start
from lara.assimilation.lbfgs import Pairs
from lara.stages.reanalysis import checkpoints, cycle, restart
from lara.stages.reanalysis.restart import Restart, RestartError

CPU = torch.device("cpu")


class Killed(BaseException):
    """What no code of ours catches."""


def some(history=4):
    """A start of two members: one with more pairs than are kept, one without memory."""
    pairs = Pairs(history)
    for _ in range(6):
        s = torch.randn(3, 5)
        pairs.add(s, s + 0.1 * torch.randn(3, 5))
    return Start(torch.randn(2, 3, 4, 5), (pairs, None))


def test_a_restart_reads_back_to_the_bit(tmp_path):
    """Backgrounds, pairs in their order, curvatures as the floats they are, and the count of windows."""
    path, start = tmp_path / "restart.safetensors", some()
    restart.save(path, Restart(7, start), "abc")
    found = restart.load(path, "abc", CPU)
    assert found.done == 7
    assert torch.equal(found.start.background, start.background)
    (pairs, nothing), expected = found.start.memories, start.memories[0]
    assert nothing is None
    assert pairs.history == 4
    assert [c for *_, c in pairs.items()] == [c for *_, c in expected.items()]
    gradient = torch.randn(3, 5)
    assert torch.equal(pairs.direction(gradient), expected.direction(gradient))


def test_a_start_without_memory_reads_back_without(tmp_path):
    path = tmp_path / "restart.safetensors"
    restart.save(path, Restart(0, Start(torch.ones(1, 2))), "abc")
    assert restart.load(path, "abc", CPU).start.memories is None


@pytest.mark.parametrize("position", [-3, 400], ids=["a number", "the description"])
def test_a_flipped_bit_is_found(tmp_path, position):
    """safetensors has no checksum of its own: the digest in the description is compared."""
    path = tmp_path / "restart.safetensors"
    restart.save(path, Restart(7, some()), "abc")
    flip(path, position)
    with pytest.raises(RestartError, match=r"restart\.safetensors.*rerun the job before"):
        restart.load(path, "abc", CPU)


def test_a_restart_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "restart.safetensors"
    restart.save(path, Restart(7, some()), "abc")
    with pytest.raises(RestartError, match="other settings, inputs or code"):
        restart.load(path, "abd", CPU)
    with pytest.raises(RestartError, match="does not exist"):
        restart.load(tmp_path / "nothing", "abc", CPU)


def test_a_memory_without_a_form_on_disk_is_refused(tmp_path):
    """Rather than silently forgotten."""
    with pytest.raises(TypeError, match="dict"):
        restart.save(tmp_path / "r", Restart(1, Start(torch.ones(1, 2), ({},))), "abc")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("name", ["eda", "posterior", "overlap", "3dvar"])
def test_an_interrupted_experiment_goes_on_to_the_same_bytes(world, tmp_path, monkeypatch, name):
    """Archive, receipt, feedback, ledger and members, after an end between a window and its checkpoint; windows before
    the checkpoint are not analysed again."""
    values = worlds.changed("production.checkpoint_every", 2 if name == "3dvar" else 1)
    whole, cut = (worlds.copied(world, tmp_path / which, values) for which in ("whole", "cut"))
    assert worlds.lara(whole.layout.root, f"cycle-experiment --experiment {name}") == 0
    stop, seen, analyse = {"3dvar": 5}.get(name, 2), [], cycle.analyse

    def interrupted(*arguments):
        for analyses in analyse(*arguments):
            seen.append(str(analyses[0].window))
            if len(seen) == stop:
                raise Killed
            yield analyses

    monkeypatch.setattr(cycle, "analyse", interrupted)
    with pytest.raises(Killed):
        worlds.lara(cut.layout.root, f"cycle-experiment --experiment {name}")
    assert not cut.layout.archive_receipt(name).exists()
    assert worlds.lara(cut.layout.root, f"cycle-experiment --experiment {name}") == 0
    assert seen.count(seen[0]) == 1
    assert worlds.outputs(cut, name) == worlds.outputs(whole, name)
    assert not cut.layout.cycled(name).work.exists()


def test_a_checkpoint_over_a_damaged_archive_is_not_gone_on_from(world, tmp_path, monkeypatch, caplog):
    """A shard lost since: all begins anew, saying so, and the result is whole."""
    run = worlds.copied(world, tmp_path / "w", worlds.changed("production.checkpoint_every", 1))
    monkeypatch.setattr(cycle.store, "seal_archive", _raise_killed)
    with pytest.raises(Killed):
        worlds.lara(run.layout.root, "cycle-experiment --experiment free")
    monkeypatch.undo()
    next((run.layout.archive("free") / "geopotential").glob("c.0.*")).unlink()
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment free") == 0
    assert "cycling begins anew" in caplog.text
    assert worlds.lara(run.layout.root, "verify-archive --experiment free") == 0


def test_the_ledger_of_a_running_job_is_read_up_to_its_last_whole_line(tmp_path):
    (tmp_path / checkpoints.LEDGER).write_text('{"rows": [1]}\n{"rows": [2]}\n{"ro')
    assert [line["rows"] for line in checkpoints.ledger_lines(tmp_path)] == [[1], [2]]


def _raise_killed(*_):
    raise Killed
