"""Datasets of a run: what is kept, what is made anew, and from where a source goes on."""

import copy

import numpy as np
import pytest

import worlds
from lara import store
from lara.stages.data.dataset import lay_out, unsealed_months
from lara.stages.networks import RunWithNetworks
from lara.stages.run import time, time_range


@pytest.fixture
def values() -> dict:
    return copy.deepcopy(worlds.VALUES)


def laid_out(folder, values) -> RunWithNetworks:
    """A run whose training dataset is laid out and, where nothing is sealed yet, filled and sealed by months."""
    run = worlds.write_config(folder, values)
    run.layout.dataset("training").parent.mkdir(parents=True, exist_ok=True)
    lay_out(run, "training", times(run))
    return run


def times(run: RunWithNetworks) -> np.ndarray:
    chosen = run.config.datasets["training"]
    return time_range(chosen.begin, chosen.end, run.step)


def fill(run: RunWithNetworks, until: str) -> None:
    """Write and seal the days before `until` in one part."""
    count = int((times(run) < np.datetime64(until)).sum())
    store.write_block(run.layout.dataset("training"), 0, worlds.weather(run, count, run.generator("fill")))
    store.seal(run.layout.dataset("training"), "first", 0, count)


def first_missing(run: RunWithNetworks) -> np.datetime64 | None:
    chosen = run.config.datasets["training"]
    missing = unsealed_months(run.layout.dataset("training"), time(chosen.begin), time(chosen.end))
    return missing[0][0] if missing else None


def test_a_source_goes_on_at_the_first_month_that_is_not_sealed(tmp_path, values):
    run = laid_out(tmp_path, values)
    assert first_missing(run) == np.datetime64("2001-01-01")
    fill(run, "2001-02-01")
    assert first_missing(run) == np.datetime64("2001-02-01")
    fill(run, "2001-02-03")
    assert first_missing(run) is None


def test_a_month_cut_short_is_made_again(tmp_path, values):
    run = laid_out(tmp_path, values)
    fill(run, "2001-02-01")
    shard = next(path for path in sorted(run.layout.dataset("training").glob("state/c*")) if path.is_file())
    shard.write_bytes(shard.read_bytes()[:-1])
    assert first_missing(run) == np.datetime64("2001-01-01")


def test_the_same_settings_keep_what_is_sealed(tmp_path, values):
    fill(laid_out(tmp_path, values), "2001-02-01")
    assert first_missing(laid_out(tmp_path, values)) == np.datetime64("2001-02-01")


def test_a_longer_period_keeps_what_is_sealed(tmp_path, values):
    fill(laid_out(tmp_path, values), "2001-02-03")
    values["datasets"]["training"]["end"] = "2001-03-05"
    assert first_missing(laid_out(tmp_path, values)) == np.datetime64("2001-02-01")


@pytest.mark.parametrize(
    ("section", "change"),
    [
        (("datasets", "training"), {"member": 9}),
        (("source",), {"spin_up_days": 7}),
        ((), {"seed": 5}),
        (("state",), {"levels": [500, 700]}),
    ],
)
def test_another_member_source_seed_or_state_leaves_nothing_of_the_old_dataset(
    tmp_path, values, section, change, caplog
):
    fill(laid_out(tmp_path, values), "2001-02-03")
    chosen = values
    for key in section:
        chosen = chosen[key]
    chosen.update(change)
    values["verification"]["headline"], values["single_observations"] = ["z500"], {}
    run = laid_out(tmp_path, values)
    assert first_missing(run) == np.datetime64("2001-01-01")
    assert "generated anew" in caplog.text
