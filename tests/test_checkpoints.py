"""Checkpoints: a training goes on from the latest that is whole, and from no other."""

import json
import logging

import pytest

from lara.checkpoints import Checkpoints
from trainings import PLAN, Killed, content, kept_steps, train

AT_NINE = 10  # steps after which a training is killed: checkpoints of steps 6 and 9 lie there


def empty(raw):
    return b""


def halved(raw):
    return raw[: len(raw) // 2]


def text(raw):
    return b"quota exceeded"


def tail_zeroed(raw):
    return raw[:-4096] + bytes(4096)


def block_zeroed(raw):
    """A block of the weights, which no reader of the format notices."""
    middle = len(raw) // 2
    return raw[:middle] + bytes(4096) + raw[middle + 4096 :]


DAMAGES = [empty, halved, text, tail_zeroed, block_zeroed]


@pytest.fixture
def killed(tmp_path, stores):
    """Folder of a training that was killed after its third checkpoint."""
    with pytest.raises(Killed):
        train(tmp_path, stores, kill_at=AT_NINE)
    assert kept_steps(tmp_path) == [6, 9]
    return tmp_path


def latest(folder):
    """Receipt of the latest checkpoint."""
    return max(folder.glob("checkpoint-*.json"), key=lambda path: json.loads(path.read_text())["step"])


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(tmp_path_factory, killed, stores, damage, caplog):
    """Weights and curves byte for byte those of an undisturbed run, from step 6 in place of 9."""
    file = latest(killed).with_suffix(".ckpt")
    file.write_bytes(damage(file.read_bytes()))
    caplog.set_level(logging.INFO)
    whole = tmp_path_factory.mktemp("whole")
    assert content(killed, train(killed, stores)) == content(whole, train(whole, stores))
    assert f"{file}: it has changed since it was written" in caplog.text
    assert "goes on after step 6" in caplog.text


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_both_are_damaged_training_begins_anew_with_a_line_for_each(killed, stores, damage, caplog):
    """No exception, the same weights, and both files named."""
    files = sorted(killed.glob("*.ckpt"))
    for file in files:
        file.write_bytes(damage(file.read_bytes()))
    model = train(killed, stores)
    assert all(str(file) in caplog.text for file in files)
    assert content(killed, model)[1].count(b"\n") == PLAN.steps + 1


@pytest.mark.parametrize("damage", [empty, halved, text])
def test_a_damaged_receipt_is_passed_over_with_a_line(killed, stores, damage, caplog):
    """The other checkpoint is taken."""
    caplog.set_level(logging.INFO)
    note = latest(killed)
    note.write_bytes(damage(note.read_bytes()))
    train(killed, stores)
    assert note.name in caplog.text
    assert "goes on after step 6" in caplog.text


def test_another_precision_begins_anew_and_says_so(tmp_path, stores, caplog):
    """A checkpoint of bfloat16 is not gone on from in float32 unnoticed: identities hold the precision."""
    train(tmp_path, stores, "bf16-mixed", identity="in bf16")
    assert Checkpoints(tmp_path).precision == "bf16-mixed"
    train(tmp_path, stores, "32-true", identity="in float32")
    assert "other settings, data, precision or code" in caplog.text
    assert Checkpoints(tmp_path).precision == "32-true"


def test_two_checkpoints_take_turns(tmp_path, stores):
    """Steps 9 and 12 lie there at the end of a training of 12 with one every 3."""
    train(tmp_path, stores)
    assert kept_steps(tmp_path) == [9, 12]
