"""What was downloaded becomes months of states: equal to what was encoded, once, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

import cloud_stores
import era5_weather
import worlds
from gribs import USUAL, delivery
from lara import receipts
from lara.grid import Grid
from lara.sources.regrid import regridding
from lara.stages.data import dataset
from lara.stages.data.dataset import write_month
from lara.state import Channels

ASKED = Grid.equiangular(9, 16, poles=True)


def download(run, dataset):
    for name in run.config.deliveries(dataset):
        assert worlds.lara(run.layout.root, f"download-month --delivery {name}") == 0


def generate(run, dataset):
    return worlds.lara(run.layout.root, f"generate-dataset --part {worlds.part(run, dataset)}")


def month_receipt(run, dataset, month):
    return receipts.read(run.layout.dataset(dataset).with_name(f"{dataset}.zarr.receipts") / f"{month}.receipt.json")


def test_a_full_month_of_both_products_is_the_truth_to_the_packing_of_grib(small, server):
    """16 bits: half a step of at most 2/65535 of a field's range; means of cells err no more than their points."""
    run = small()
    download(run, "training")
    assert generate(run, "training") == 0
    found = run.store("training")
    true = era5_weather.states(run.channels, found.times, ASKED)
    packing = (true.max(axis=(2, 3)) - true.min(axis=(2, 3))) / 65535
    wanted = regridding("conservative", ASKED, run.grid)(true)
    error = np.abs(found.read(slice(None)) - wanted).max(axis=(2, 3))
    assert len(found) == 124
    assert (error <= packing + 3e-7 * np.abs(true).max(axis=(2, 3))).all()
    assert server.count("submit") == 2


def test_months_already_sealed_are_kept_and_the_rest_is_made(small, values, server, capsys):
    """The GRIB of the first month is gone, that of the second came later: only what is missing is needed."""
    values["datasets"]["training"] |= {"begin": "2001-01-01", "end": "2001-02-03"}
    run = small()
    download(run, "training")
    for product in ("single-levels", "pressure-levels"):
        path = run.layout.delivery(f"training/{product}/2001-02")
        path.rename(path.with_suffix(".later"))
    assert generate(run, "training") == 2
    assert "2001-02.grib is not there any more: delete" in capsys.readouterr().err
    for path in run.layout.root.rglob("*2001-01.grib"):
        path.unlink()
    for path in list(run.layout.root.rglob("*.later")):
        path.rename(path.with_suffix(".grib"))
    assert generate(run, "training") == 0
    assert len(run.store("training")) == 33 * 4


def test_grib_that_is_not_to_be_kept_goes_when_its_month_is_sealed(small, values, server):
    values["source"]["keep"] = False
    run = small()
    download(run, "validation")
    assert generate(run, "validation") == generate(run, "validation") == 0
    assert not list(run.layout.root.rglob("*.grib"))
    assert len(run.store("validation")) == 48


def test_grib_goes_month_by_month_as_states_are_sealed(small, values, server, monkeypatch):
    """As each of two months is written its own GRIB is still there, and that of the one before is not."""
    values["source"]["keep"] = False
    values["datasets"]["training"] |= {"begin": "2001-01-05", "end": "2001-02-05"}
    run, there = small(), []
    download(run, "training")

    def written(path, times, month):
        there.append(sorted(file.stem for file in run.layout.root.rglob("*.grib")))
        write_month(path, times, month)

    monkeypatch.setattr(dataset, "write_month", written)
    assert generate(run, "training") == 0
    assert there == [["2001-01"] * 2 + ["2001-02"] * 2, ["2001-02"] * 2]
    assert not list(run.layout.root.rglob("*.grib"))


def test_how_states_are_had_makes_nothing_again_and_what_they_are_does(small, values, server, caplog):
    download(small(), "validation")
    assert generate(small(), "validation") == 0
    values["source"] |= {"keep": False, "requests": 1, "patience": {"queue": 9.0}}
    values["seed"] = 4
    assert generate(small(), "validation") == 0
    assert "generated anew" not in caplog.text
    values["source"] |= {"regrid": "bilinear", "keep": True}
    assert generate(small(), "validation") == 0
    assert "generated anew" in caplog.text


def test_era5t_is_refused_with_what_to_do_or_marked_in_the_receipts(small, values, server, capsys):
    """The last six hours of the month are ERA5T."""

    def produce(dataset, request):
        times = era5_weather.times(request)
        names = [era5_weather.SHORT[name] for name in request["variable"]]
        levels = [int(level) for level in request.get("pressure_level", [])]
        channels = Channels.of([], names, levels) if levels else Channels.of(names, [], [])
        first, last = (
            delivery(channels, some, era5_weather.states(channels, some, ASKED), ASKED, replace(USUAL, expver=expver))
            for some, expver in ((times[:-1], "0001"), (times[-1:], "0005"))
        )
        return b"".join(first + last)

    server.produce = produce
    assert worlds.lara(small().layout.root, "download-month --delivery validation/single-levels/2001-03") == 2
    said = capsys.readouterr().err
    assert "ERA5T" in said and "source.preliminary: mark" in said
    assert server.count("download") == 1
    values["source"]["preliminary"] = "mark"
    run = small()
    download(run, "validation")
    assert server.count("download") == 2  # that of the other product: what was refused is taken now
    assert generate(run, "validation") == 0
    marked = month_receipt(run, "validation", "2001-03-01")["provenance"]["preliminary"]
    assert [moment[:13] for moment in marked] == ["2001-03-12T18"]


@pytest.fixture
def zarr(tmp_path, values):
    """A configuration whose source is a small store like WeatherBench 2's, which lacks a time in January."""
    times = np.arange("2001-01-01T00", "2001-04-13T00", 6, dtype="M8[h]")
    times = times[times != np.datetime64("2001-01-10T12", "h")]
    path = cloud_stores.write(tmp_path / "wb2.zarr", cloud_stores.WB2_COARSE, times)
    values["source"] = {"kind": "zarr", "url": path}
    return values


def test_a_zarr_store_becomes_states_and_what_it_lacks_a_gap(small, zarr):
    run = small()
    assert generate(run, "training") == 0
    found = run.store("training")
    assert found.gaps.astype("M8[h]").tolist() == [np.datetime64("2001-01-10T12", "h").tolist()]
    true = cloud_stores.truth(run.channels, found.times, cloud_stores.WB2_COARSE.grid)
    wanted = regridding("conservative", cloud_stores.WB2_COARSE.grid, run.grid)(true)
    assert np.array_equal(found.read(slice(None)), wanted)
    assert [len(part) for part in run.stores("training")] == [38, 85]
    assert worlds.lara(run.layout.root, "compute-statistics") == 0
    content = month_receipt(run, "training", "2001-01-01")
    assert list(content["gaps"].values()) == ["2001-01-10T12:00:00.000000000: not on the time axis"]


def test_only_training_can_do_with_gaps(small, zarr, capsys):
    zarr["datasets"]["test"], zarr["datasets"]["training"] = (
        {"use": "test", "begin": "2001-01-05", "end": "2001-01-17"},
        {"use": "training", "begin": "2001-01-20", "end": "2001-02-28"},
    )
    assert generate(small(), "test") == 2
    assert "the source lacks 1 times, the first is 2001-01-10T12" in capsys.readouterr().err
