"""Archives: names others know, and nothing read that was not written and sealed whole."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from damage import flip, shard
from lara import store
from lara.grid import Grid
from lara.state import Channels
from lara.store import StoreError

GRID, CHANNELS = Grid.gaussian(8, 16), Channels.of(["msl", "t2m"], ["z", "q"], [500, 850])
TIMES = np.datetime64("2000-02-27", "ns") + np.arange(12) * np.timedelta64(6, "h")
STATES = np.random.default_rng(0).standard_normal((len(TIMES), 6, 8, 16)).astype(np.float32)


@pytest.fixture
def archive(tmp_path):
    """A sealed archive, written in blocks of three times that cross days."""
    path = tmp_path / "archive.zarr"
    store.create_archive(path, GRID, CHANNELS, TIMES, {"experiment": "toy"})
    for first in range(0, 12, 3):
        store.write_archive(path, first, analysis=STATES[first : first + 3], background=STATES[first : first + 3] + 1)
    store.seal_archive(path)
    return path


def test_an_archive_opens_in_plain_xarray_under_weatherbench_names(archive):
    with xr.open_zarr(archive) as dataset:
        assert dataset["geopotential"].dims == ("time", "level", "latitude", "longitude")
        assert np.array_equal(dataset["geopotential"].values, STATES[:, 2:4])
        assert np.array_equal(dataset["2m_temperature_background"].values, STATES[:, 1] + 1)
        assert np.array_equal(dataset["time"].values, TIMES) and dataset["level"].values.tolist() == [500, 850]
        assert dataset["specific_humidity"].attrs["units"] == "kg kg-1" and dataset.attrs["experiment"] == "toy"
        assert "latitude_bounds" in dataset.coords and dataset["geopotential"].dtype == np.float32


def test_an_archive_does_not_depend_on_the_blocks_it_was_written_in(archive, tmp_path):
    """Blocks of three times rewrite shards, one of all does not: same bytes everywhere, so a restart is invisible."""
    other = tmp_path / "other.zarr"
    store.create_archive(other, GRID, CHANNELS, TIMES, {"experiment": "toy"})
    store.write_archive(other, 0, analysis=STATES, background=STATES + 1)
    store.seal_archive(other)
    described = [json.loads(Path(f"{path}.receipt.json").read_text()) for path in (archive, other)]
    assert described[0] == described[1]


def test_a_sealed_archive_is_whole_and_opens_in_daily_blocks(archive):
    assert store.verify_archive(archive) == []
    with store.open_archive(archive) as dataset:
        assert dataset["geopotential"].chunks[0] == (4, 4, 4)


def test_writing_again_withdraws_the_seal(archive):
    store.write_archive(archive, 0, analysis=STATES[:1], background=STATES[:1])
    with pytest.raises(StoreError, match="not sealed"):
        store.open_archive(archive)


def test_an_archive_with_times_not_yet_written_cannot_be_sealed(tmp_path):
    path = tmp_path / "archive.zarr"
    store.create_archive(path, GRID, CHANNELS, TIMES, {})
    store.write_archive(path, 0, analysis=STATES[:7], background=STATES[:7])
    with pytest.raises(StoreError, match=r"c\.7\.0\.0.* not all written"):
        store.seal_archive(path)


def test_every_damaged_file_of_an_archive_is_named(archive):
    lost, cut, changed = (shard(archive, day, "geopotential") for day in range(3))
    lost.unlink()
    os.truncate(cut, 10)
    flip(changed, 100)
    (archive / "stranger").touch()
    problems = store.verify_archive(archive)
    assert [str(file) in text for file, text in zip((lost, cut, changed, "stranger"), problems, strict=True)] == [
        True
    ] * 4
    with pytest.raises(StoreError, match=r"is missing.*3 problems"):
        store.open_archive(archive)


def test_a_flipped_bit_in_an_archive_is_an_error_when_read(archive):
    flip(shard(archive, 2, "geopotential"), 100)
    with store.open_archive(archive) as dataset, pytest.raises(ValueError, match="checksum"):
        dataset["geopotential"].load()


def test_litter_of_a_killed_writer_does_not_enter_the_seal(archive):
    litter = archive / "geopotential" / "c.0.0.0.0123.partial"
    litter.touch()
    store.seal_archive(archive)
    assert not litter.exists() and store.verify_archive(archive) == []


def test_nan_and_times_outside_are_refused_by_an_archive(archive):
    bad = STATES[:2].copy()
    bad[1, 0] = np.nan
    with pytest.raises(StoreError, match="msl at 2000-02-27T06"):
        store.write_archive(archive, 0, analysis=STATES[:2], background=bad)
    with pytest.raises(StoreError, match="12 times"):
        store.write_archive(archive, 11, analysis=STATES[:2], background=STATES[:2])
    assert store.verify_archive(archive) == []
