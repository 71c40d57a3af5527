"""Times that a source lacks stay gaps in a dataset: never read, never crossed, never asked for in vain."""

import numpy as np
import pytest

from lara import store
from lara.store import StoreError
from lara.training import Sequences

STEP = np.timedelta64(6, "h").astype("m8[ns]")
TIMES = np.datetime64("2001-01-01", "ns") + STEP * np.arange(16)
GAPS = {5: "no data for t2m", 8: "not on the time axis", 9: "no data", 10: "no data", 11: "no data"}  # a whole day, too
HELD = [position for position in range(16) if position not in GAPS]


def states(small_channels, small_grid):
    """States whose values are their positions; NaN where nothing is known."""
    values = np.where(np.isin(np.arange(16), HELD), np.arange(16), np.nan).astype(np.float32)
    return np.ones((16, len(small_channels), *small_grid.shape), np.float32) * values[:, None, None, None]


@pytest.fixture
def path(tmp_path, small_grid, small_channels):
    path = tmp_path / "gaps.zarr"
    store.create(path, small_grid, small_channels, TIMES)
    store.write_block(path, 0, states(small_channels, small_grid), list(GAPS))
    store.seal(path, "all", 0, 16, gaps=GAPS)
    return path


def test_a_dataset_holds_the_times_that_its_source_has_and_no_others(path):
    opened = store.open_state(path)
    assert np.array_equal(opened.times, TIMES[HELD])
    assert opened.read(slice(None))[:, 0, 0, 0].tolist() == HELD
    assert opened.dask().compute()[:, 0, 0, 0].tolist() == HELD
    assert np.array_equal(opened.gaps, TIMES[list(GAPS)])
    assert opened.step == STEP


def test_a_gap_asked_for_is_refused_as_one(path):
    opened = store.open_state(path)
    assert opened.at(TIMES[[4, 6]])[:, 0, 0, 0].tolist() == [4, 6]
    with pytest.raises(StoreError, match="has a gap at 2001-01-02T06"):
        opened.at(TIMES[4:7])
    with pytest.raises(StoreError, match="not open at 2001-01-05"):
        opened.at(TIMES[-1:] + STEP)


def test_a_range_counts_from_its_beginning_be_it_a_gap(path):
    opened = store.open_state(path, TIMES[8], TIMES[14])
    assert opened.read([0, 1])[:, 0, 0, 0].tolist() == [12, 13]
    assert len(store.open_state(path, TIMES[8], TIMES[12])) == 0


def test_stretches_end_at_gaps(path):
    parts = store.open_state(path).stretches()
    assert [part.read(slice(None))[:, 0, 0, 0].tolist() for part in parts] == [
        [0, 1, 2, 3, 4],
        [6, 7],
        [12, 13, 14, 15],
    ]
    assert not any(len(part.gaps) for part in parts)


def test_training_sequences_never_cross_a_gap(path):
    """Of length 3: three in the first stretch, none in the second, two in the third."""
    sequences = Sequences([store.open_state(path)], 3)
    found = sequences.read(range(len(sequences)))[:, :, 0, 0, 0].astype(int).tolist()
    assert found == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [12, 13, 14], [13, 14, 15]]


def test_the_receipt_says_why(path):
    content = (path.with_name("gaps.zarr.receipts") / "all.receipt.json").read_text()
    assert "2001-01-02T06:00:00.000000000: no data for t2m" in content
    assert "2001-01-03T00:00:00.000000000: not on the time axis" in content


def test_what_is_no_gap_must_be_written_before_it_is_sealed(path, small_channels, small_grid):
    known = {position: why for position, why in GAPS.items() if position != 5}
    with pytest.raises(StoreError, match="not all written"):
        store.seal(path, "all", 0, 16, gaps=known)
    with pytest.raises(StoreError, match="holds NaN or infinity"):
        store.write_block(path, 0, states(small_channels, small_grid), list(known))


def test_a_gap_that_is_filled_later_is_a_state_like_others(path, small_channels, small_grid):
    filled = np.nan_to_num(states(small_channels, small_grid), nan=99.0)
    store.write_block(path, 4, filled[4:8])
    store.seal(path, "day", 4, 4)
    with pytest.raises(StoreError, match="no receipt"):
        store.open_state(path)
    assert store.open_state(path, TIMES[4], TIMES[8]).read([1])[0, 0, 0, 0] == 99.0
