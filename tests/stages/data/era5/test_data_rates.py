"""`lara measure-ingestion` and `lara compare-loaders`: every step in one table, and what cannot be measured refused."""

import json

import numpy as np
import pandas as pd
import pytest

import worlds
from lara.stages.benchmarks import data_rates, timing

STEPS = [
    "eccodes alone",
    "decoded and checked",
    "decoded, checked, kept",
    "decoded, checked, conservative",
    "conservative alone",
    "decoded, checked, bilinear",
    "bilinear alone",
]


@pytest.fixture
def downloaded(small, server):
    """The run with the GRIB of its training period."""
    run = small()
    for name in run.config.deliveries("training"):
        assert worlds.lara(run.layout.root, f"download-month --delivery {name}") == 0
    return run


def test_every_step_of_ingestion_has_its_rate_over_bare_decoding(downloaded, monkeypatch):
    """Rates are those of the 496 fields on pressure levels; checks and regridding cost something, not most of it."""
    monkeypatch.setattr(timing, "TURNS", 2)
    assert worlds.lara(downloaded.layout.root, "measure-ingestion") == 0
    table = pd.read_csv(downloaded.layout.comparison("ingestion")).set_index("name")
    assert list(table.index) == STEPS
    np.testing.assert_allclose(table["fields_per_s"] * table["ms"], 1e3 * 31 * 4 * 4)
    assert table.loc["eccodes alone", "over_reference"] == 1
    assert (table["over_reference"] > 0.3).all()


def test_grib_that_was_not_kept_cannot_be_measured(downloaded, capsys):
    part = next(iter(downloaded.config.deliveries("training")))
    downloaded.layout.delivery(part).unlink()
    assert worlds.lara(downloaded.layout.root, "measure-ingestion") == 2
    assert f"{part}.grib is not there any more: delete" in capsys.readouterr().err


def test_a_reader_that_reads_other_states_is_named(tmp_path, monkeypatch):
    """The peers are stood in for: the first time by one that reads nothing."""
    run = worlds.write_config(tmp_path / "run", worlds.VALUES)
    worlds.write_dataset(run, "training")
    read = {"zarr-python": 0.0}

    def peer(_, __, array, batches, measured):
        seconds = [1.0] * (data_rates.BATCHES + 1)
        measured.write_text(json.dumps({name: {"seconds": seconds, "sum": total} for name, total in read.items()}))

    monkeypatch.setattr(data_rates, "run_peer", peer)
    with pytest.raises(RuntimeError, match="zarr-python read other states than LARA: their sums are 0"):
        data_rates.compare_loaders(run, lambda *_: None)
    monkeypatch.setattr(data_rates.np, "isclose", lambda *_, **__: True)
    table = data_rates.compare_loaders(run, lambda *_: None).set_index("name")
    assert list(table.index) == ["LARA (TensorStore)", "memory map", "zarr-python"]
    assert table.loc["zarr-python", "states_per_s"] == data_rates.SAMPLES * data_rates.LENGTH
