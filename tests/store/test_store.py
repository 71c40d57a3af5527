"""Datasets of states: what was not written whole is never read as data."""

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from damage import flip, shard
from lara import receipts, store
from lara.grid import Grid
from lara.state import Channels
from lara.store import StoreError

GRID, CHANNELS = Grid.gaussian(8, 16), Channels.of(["msl", "t2m"], ["z", "q"], [500, 850])
STEP = np.timedelta64(6, "h")
DAYS = 6
TIMES = np.datetime64("2000-02-27", "ns") + np.arange(4 * DAYS) * STEP
STATES = np.random.default_rng(0).standard_normal((len(TIMES), 6, 8, 16)).astype(np.float32)
processes = multiprocessing.get_context("forkserver")  # children inherit no threads, and import the store once
processes.set_forkserver_preload(["lara.store"])


@pytest.fixture
def path(tmp_path):
    """A dataset sealed in two parts of three days."""
    path = tmp_path / "states.zarr"
    store.create(path, GRID, CHANNELS, TIMES, {"source": "toy"})
    for part, first in (("a", 0), ("b", 12)):
        store.write_block(path, first, STATES[first : first + 12])
        store.seal(path, part, first, 12)
    return path


def test_what_was_written_is_read_by_position_time_slice_and_dask(path):
    states = store.open_state(path)
    assert np.array_equal(states.read(slice(None)), STATES)
    assert np.array_equal(states.read([5, 6, 3, 3, -1]), STATES[[5, 6, 3, 3, -1]])
    assert np.array_equal(states.at(TIMES[[7, 2]]), STATES[[7, 2]])
    assert np.array_equal(states.dask().compute(), STATES) and states.dask().chunks[0] == (4,) * DAYS
    assert states.read([]).shape == (0, 6, 8, 16) and states.read([0]).dtype == np.float32


def test_an_opened_range_is_half_open_and_counts_from_its_beginning(path):
    states = store.open_state(path, "2000-02-28T06", "2000-03-01")
    assert np.array_equal(states.times, TIMES[5:12]) and len(states) == 7 and states.step == STEP
    assert np.array_equal(states.read([0, -1]), STATES[[5, 11]])
    assert np.array_equal(states.dask().compute(), STATES[5:12]) and states.dask().chunks[0] == (3, 4)


def test_grid_and_channels_are_restored_exactly(path):
    states = store.open_state(path)
    assert states.grid == GRID and states.channels == CHANNELS


def test_a_store_travels_to_another_process(path):
    states = pickle.loads(pickle.dumps(store.open_state(path, TIMES[4])))
    assert np.array_equal(states.read([0]), STATES[[4]])


def test_positions_and_times_outside_are_named(path):
    states = store.open_state(path, TIMES[4])
    with pytest.raises(IndexError):
        states.read([20])
    with pytest.raises(StoreError, match="2000-02-27T00"):
        states.at(TIMES[:1])
    with pytest.raises(StoreError, match="2000-02-28T01"):
        states.index_of(TIMES[4:5] + np.timedelta64(1, "h"))


def test_plain_xarray_opens_a_dataset_without_warnings(path):
    with xr.open_zarr(path) as dataset:
        assert np.array_equal(dataset["state"].sel(channel="q850").values, STATES[:, 5])
        assert np.array_equal(dataset["time"].values, TIMES) and set(dataset.data_vars) == {"state"}
        np.testing.assert_array_equal(dataset["area_weights"], GRID.area_weights)
        np.testing.assert_array_equal(dataset["latitude_bounds"], GRID.latitude_bounds)


def test_opening_a_year_takes_less_than_50_ms(tmp_path):
    """365 days of tiny states, sealed by month; the best of three, since other work shares the machine."""
    times = np.datetime64("2001-01-01", "ns") + np.arange(1460) * STEP
    grid, channels = Grid.gaussian(4, 8), Channels.of(["msl"], [], [])
    path = tmp_path / "year.zarr"
    store.create(path, grid, channels, times)
    store.write_block(path, 0, np.zeros((1460, 1, 4, 8), np.float32))
    months = np.flatnonzero(np.diff(times.astype("datetime64[M]").astype(int), prepend=-1)).tolist()
    for first, last in zip(months, [*months[1:], 1460], strict=True):
        store.seal(path, str(first), first, last - first)
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        store.open_state(path)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.05


def test_a_time_no_receipt_covers_cannot_be_opened_but_the_rest_can(path):
    Path(f"{path}.receipts/b.receipt.json").unlink()
    with pytest.raises(StoreError, match=r"12 times from 2000-03-01T00.*rerun"):
        store.open_state(path)
    assert len(store.open_state(path, end="2000-03-01")) == 12


@pytest.mark.parametrize("begin, end", [("1999-01-01", None), (None, "2001-01-01"), ("2000-03-01", "2000-03-01")])
def test_a_range_outside_the_axis_or_empty_is_refused(path, begin, end):
    with pytest.raises(StoreError, match="2000-02-27"):
        store.open_state(path, begin, end)


def test_no_store_at_all_is_named_with_the_remedy(tmp_path):
    with pytest.raises(StoreError, match=r"absent.zarr.*rerun"):
        store.open_state(tmp_path / "absent.zarr")


def test_a_truncated_shard_is_found_on_opening(path):
    file = shard(path)
    os.truncate(file, file.stat().st_size - 1)
    with pytest.raises(StoreError, match=f"{file.name} has .* bytes instead of.*rerun"):
        store.open_state(path)


def test_a_missing_shard_is_found_on_opening(path):
    shard(path).unlink()
    with pytest.raises(StoreError, match=r"c\.1\.0\.0\.0 is missing.*rerun"):
        store.open_state(path)


def test_a_shard_lost_after_opening_is_an_error_not_nan(path):
    states = store.open_state(path)
    shard(path).unlink()
    with pytest.raises(StoreError, match=r"c\.1\.0\.0\.0 is missing"):
        states.read([4])


@pytest.mark.parametrize("position", [0, 5000, -1])
def test_a_flipped_bit_is_found_by_verification_and_by_reading(path, position):
    """In the data or in the shard's index: the receipt's digest and the CRC-32C of every chunk both see it."""
    flip(shard(path), position)
    with pytest.raises(StoreError, match=r"c\.1\.0\.0\.0 has changed.*rerun"):
        store.open_state(path, verify=True)
    with pytest.raises(StoreError, match=r"c\.1\.0\.0\.0 is damaged"):
        store.open_state(path).read(slice(4, 8))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_block_with_nan_or_infinity_is_refused_and_leaves_the_receipts(path, bad):
    states = STATES[4:8].copy()
    states[2, 3, 1, 1] = bad
    with pytest.raises(StoreError, match="z850 at 2000-02-28T12"):
        store.write_block(path, 4, states)
    assert np.array_equal(store.open_state(path, verify=True).read(slice(None)), STATES)


def test_times_never_written_cannot_be_sealed(tmp_path):
    path = tmp_path / "states.zarr"
    store.create(path, GRID, CHANNELS, TIMES)
    store.write_block(path, 0, STATES[:8])
    with pytest.raises(StoreError, match=r"c\.2\.0\.0\.0 is missing or not all written"):
        store.seal(path, "a", 0, 12)


def test_a_half_broken_receipt_stops_the_opening(path):
    receipt = Path(f"{path}.receipts/a.receipt.json")
    receipt.write_bytes(receipt.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"a\.receipt\.json cannot be read.*delete it"):
        store.open_state(path)


def _rewrite_and_die(path):
    store.write_block(path, 12, STATES[:4])
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_writer_killed_between_block_and_seal_leaves_no_data_behind(path):
    """Rewriting withdraws the old receipt first, so old and new days are never mixed; the other part stays open."""
    writer = processes.Process(target=_rewrite_and_die, args=(path,))
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    with pytest.raises(StoreError, match="12 times from 2000-03-01T00"):
        store.open_state(path)
    assert np.array_equal(store.open_state(path, end=TIMES[12], verify=True).read(slice(None)), STATES[:12])


@pytest.mark.parametrize("first, count", [(1, 4), (0, 3), (4, 6), (20, 8), (-4, 4), (4, 0)])
def test_blocks_that_are_not_whole_days_of_the_axis_are_refused(path, first, count):
    with pytest.raises(StoreError, match="times"):
        store.write_block(path, first, np.zeros((count, 6, 8, 16), np.float32))


def test_a_block_of_another_shape_is_refused(path):
    with pytest.raises(StoreError, match=r"\(6, 8, 16\), not \(6, 8, 15\)"):
        store.write_block(path, 0, np.zeros((4, 6, 8, 15), np.float32))


def test_an_axis_may_end_within_a_day_but_then_not_grow(tmp_path):
    path = tmp_path / "states.zarr"
    store.create(path, GRID, CHANNELS, TIMES[:6])
    store.write_block(path, 0, STATES[:6])
    store.seal(path, "all", 0, 6)
    assert np.array_equal(store.open_state(path).read(slice(None)), STATES[:6])
    with pytest.raises(StoreError, match="cannot be lengthened"):
        store.create(path, GRID, CHANNELS, TIMES)


def test_writing_the_same_again_gives_the_same_bytes(path):
    receipt, file = Path(f"{path}.receipts/a.receipt.json"), shard(path)
    before = receipt.read_bytes(), file.read_bytes()
    store.write_block(path, 0, STATES[:12])
    store.seal(path, "a", 0, 12)
    assert (receipt.read_bytes(), file.read_bytes()) == before


def test_a_receipt_says_what_it_covers_and_carries_provenance(path):
    store.seal(path, "a", 0, 12, {"config": "0123"})
    content = receipts.read(Path(f"{path}.receipts/a.receipt.json"))
    assert (content["first"], content["count"], content["provenance"]) == (0, 12, {"config": "0123"})
    assert content["begin"].startswith("2000-02-27T00") and content["end"].startswith("2000-02-29T18")
    assert content["files"]["state/c.0.0.0.0"][0] == shard(path, 0).stat().st_size and len(content["files"]) == 3


def test_blocks_large_enough_to_compress_read_back(tmp_path):
    """From 1 MiB a state chunks are compressed; smooth fields then take less room."""
    grid, channels = Grid.equiangular(64, 128), Channels.of([], ["z", "t", "u", "v"], range(100, 1000, 100))
    states = np.ones((4, len(channels), *grid.shape), np.float32) * np.arange(4)[:, None, None, None].astype(np.float32)
    path = tmp_path / "large.zarr"
    store.create(path, grid, channels, TIMES[:4])
    store.write_block(path, 0, states)
    store.seal(path, "all", 0, 4)
    assert shard(path, 0).stat().st_size < states.nbytes / 10
    assert np.array_equal(store.open_state(path, verify=True).read(slice(None)), states)


def _create_write_and_seal(path, first):
    store.create(path, GRID, CHANNELS, TIMES, {"source": "toy"})
    store.write_block(path, first, STATES[first : first + 8])
    store.seal(path, str(first), first, 8)


def test_processes_may_create_write_and_seal_different_days_at_once(tmp_path):
    path = tmp_path / "states.zarr"
    writers = [processes.Process(target=_create_write_and_seal, args=(path, first)) for first in (0, 8, 16)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert np.array_equal(store.open_state(path, verify=True).read(slice(None)), STATES)
    assert {file.name for file in tmp_path.iterdir()} == {"states.zarr", "states.zarr.receipts"}


def test_creating_again_keeps_the_data(path):
    store.create(path, GRID, CHANNELS, TIMES, {"source": "toy"})
    store.create(path, GRID, CHANNELS, TIMES[:8], {"source": "toy"})
    assert np.array_equal(store.open_state(path, verify=True).read(slice(None)), STATES)


def test_a_longer_axis_keeps_what_was_sealed_and_takes_more(path):
    more = TIMES[0] + np.arange(4 * DAYS + 8) * STEP
    store.create(path, GRID, CHANNELS, more, {"source": "toy"})
    assert np.array_equal(store.open_state(path, end=more[24], verify=True).read(slice(None)), STATES)
    with pytest.raises(StoreError, match="8 times from 2000-03-04"):
        store.open_state(path)
    store.write_block(path, 24, STATES[:8])
    store.seal(path, "c", 24, 8)
    assert np.array_equal(store.open_state(path).read(slice(20, 28)), np.concatenate([STATES[20:], STATES[:4]]))
    with xr.open_zarr(path) as dataset:
        assert np.array_equal(dataset["time"].values, more) and dataset["state"].shape[0] == len(more)


def test_lengthening_that_was_interrupted_is_finished_by_the_next_call(path, tmp_path):
    """After any prefix of the replaced files, sealed data stay readable and a second call completes the work."""
    more = TIMES[0] + np.arange(4 * DAYS + 8) * STEP
    longer = tmp_path / "longer.zarr"
    store.create(longer, GRID, CHANNELS, more, {"source": "toy"})
    for name in ("time/c.0", "state/zarr.json"):
        (longer / name).replace(path / name)
        assert np.array_equal(store.open_state(path, verify=True).read(slice(None)), STATES)
    store.create(path, GRID, CHANNELS, more, {"source": "toy"})
    store.write_block(path, 24, STATES[:8])
    store.seal(path, "c", 24, 8)
    assert len(store.open_state(path)) == len(more)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"grid": Grid.equiangular(8, 16)}, "grid_kind, latitude"),
        ({"channels": Channels.of(["msl", "u10"], ["z", "q"], [500, 850])}, "other channel"),
        ({"times": TIMES + STEP}, "other time"),
        ({"attributes": {"source": "else"}}, "other source"),
    ],
)
def test_a_different_dataset_at_the_same_path_is_refused(path, change, message):
    wanted = {"grid": GRID, "channels": CHANNELS, "times": TIMES, "attributes": {"source": "toy"}, **change}
    with pytest.raises(StoreError, match=f"{message}.*delete it"):
        store.create(path, **wanted)


@pytest.mark.parametrize("times", [TIMES[:1], TIMES[::-1], TIMES[[0, 1, 3]], TIMES[[0, 0]]])
def test_irregular_times_are_refused(tmp_path, times):
    with pytest.raises(StoreError, match="equal steps"):
        store.create(tmp_path / "states.zarr", GRID, CHANNELS, times)
