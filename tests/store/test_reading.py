"""Random rows of a store, by TensorStore and from a memory map."""

import json

import numpy as np
import pytest

from damage import spoil
from lara.store import StoreError, open_state
from lara.store.reading import StoredRows, stage

DAYS = 10
TIMES = np.datetime64("2001-01-01", "ns") + np.arange(4 * DAYS) * np.timedelta64(6, "h")


@pytest.fixture
def states():
    """Forty states of six channels, all different."""
    return np.random.default_rng(0).standard_normal((4 * DAYS, 6, 8, 16)).astype(np.float32)


@pytest.fixture
def stored(make_store, states):
    return make_store("rows", TIMES, states)


INDICES = [[0], [39, 0, 7, 8, 9, 7], slice(3, 11), list(range(40)), []]


@pytest.mark.parametrize("indices", INDICES)
def test_rows_are_those_written_wherever_they_are_read_from(stored, states, tmp_path, indices):
    """To the bit, in the order asked for, repeated ones too."""
    expected = states[np.arange(len(states))[indices]]
    assert np.array_equal(stored.read(indices), expected)
    assert np.array_equal(stored.staged(tmp_path / "near").read(indices), expected)


def test_a_damaged_chunk_is_named_and_not_read(stored):
    """One flipped byte in the second day fails the checksum of its chunk; the first day is read as before."""
    file = stored.path / "state" / "c.1.0.0.0"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    assert np.isfinite(stored.read(slice(0, 4))).all()
    with pytest.raises(StoreError, match=r"c\.1\.0\.0\.0 is damaged .*: rerun the rule"):
        stored.read(slice(4, 8))


def test_a_shard_that_is_gone_is_an_error_and_never_nan(stored):
    (stored.path / "state" / "c.2.0.0.0").unlink()
    with pytest.raises(StoreError, match=r"c\.2\.0\.0\.0 is missing or not all written"):
        stored.read([9])


def test_a_map_is_made_once_for_a_content(stored, tmp_path):
    """Its file keeps its time of change, until the states are others."""
    first = stored.staged(tmp_path)
    before = first.array.values.filename.stat().st_mtime_ns
    assert stored.staged(tmp_path).array.values.filename.stat().st_mtime_ns == before
    assert len(list(tmp_path.glob("*.f4"))) == 1


def test_a_map_of_other_content_is_made_anew(make_store, states, tmp_path):
    """The same folder and name with other states, as after a new download."""
    old = make_store("same", TIMES, states).staged(tmp_path / "near").read([5])
    new = make_store("same", TIMES, 2 * states).staged(tmp_path / "near").read([5])
    assert np.array_equal(new, 2 * old)


def test_a_map_cut_short_while_it_was_made_is_made_anew(stored, states, tmp_path):
    """Killed after half of the copying: a part without a record is nothing."""
    rows = StoredRows.open(stored.path, "state")
    path = tmp_path / "map.f4"
    path.with_name("map.f4.part").write_bytes(b"half")
    path.write_bytes(b"another")
    made = stage(rows, np.arange(40), "content", path)
    assert np.array_equal(made.read([slice(0, 40)])[0], states)
    assert json.loads(path.with_name("map.f4.json").read_text())["content"] == "content"


@pytest.mark.parametrize("damage", ["missing", "empty", "halved", "text"])
@pytest.mark.parametrize("file", ["map.f4", "map.f4.json"])
def test_a_map_or_record_that_was_cut_off_is_made_again(stored, states, tmp_path, file, damage):
    """A disk near the processor may have been full, or cleaned up."""
    rows = StoredRows.open(stored.path, "state")
    path = tmp_path / "map.f4"
    stage(rows, np.arange(40), "content", path)
    spoil(tmp_path / file, damage)
    made = stage(rows, np.arange(40), "content", path)
    assert np.array_equal(made.read([slice(0, 40)])[0], states)


def test_what_is_not_used_takes_no_place_in_a_map(stored, tmp_path):
    """Rows outside the opened period stay empty; those inside keep their positions."""
    part = open_state(stored.path, TIMES[8], TIMES[12])
    mapped = part.staged(tmp_path)
    assert np.array_equal(mapped.read(slice(0, 4)), part.read(slice(0, 4)))
    assert not mapped.array.values[:8].any() and not mapped.array.values[12:].any()


def test_a_disk_that_is_too_small_is_named_before_anything_is_written(stored, tmp_path, monkeypatch):
    monkeypatch.setattr("lara.store.reading.shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(StoreError, match="free some or stage nothing"):
        stored.staged(tmp_path / "small")
    assert list((tmp_path / "small").iterdir()) == []
