"""Parts of a dataset: one until it grows; then what was made stays, and what is new is another."""

from datetime import datetime

import pytest
import yaml

from lara.config import parse
from lara.depends import parts
from lara.depends.inputs import Inputs
from lara.layout import Layout
from repository import REPOSITORY

TINY = {name: yaml.safe_load((REPOSITORY / "config" / f"{name}.yaml").read_text()) for name in ("tiny", "tiny-era5")}


def inputs(folder, name, begin, end):
    """Inputs of a configuration whose training data begin and end then."""
    values = TINY[name]
    training = next(key for key, dataset in values["datasets"].items() if dataset["use"] == "training")
    values = {
        **values,
        "datasets": {**values["datasets"], training: {**values["datasets"][training], "begin": begin, "end": end}},
    }
    return Inputs(parse(values), Layout(folder)), training


def names(folder, name, begin, end):
    found, training = inputs(folder, name, begin, end)
    return [part.name for part in found.parts[training]]


def made(folder, name, begin, end):
    """The parts of a dataset, their receipts written."""
    found, training = inputs(folder, name, begin, end)
    for path in found.dataset(training):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return [path.name.removesuffix(".receipt.json") for path in found.dataset(training)]


def test_a_dataset_is_one_part_and_what_it_grows_by_is_another(tmp_path):
    """Each time; and where it shrinks, what is left is made of what was made for it."""
    first = made(tmp_path, "tiny", "2000-12-01", "2001-01-20")
    assert first == ["20001201-20010120"]
    assert made(tmp_path, "tiny", "2000-12-01", "2001-01-22") == [*first, "20010120-20010122"]
    assert names(tmp_path, "tiny", "2000-12-01", "2001-01-24") == [*first, "20010120-20010122", "20010122-20010124"]
    assert names(tmp_path, "tiny", "2000-12-01", "2001-01-20") == first
    assert names(tmp_path, "tiny", "2000-12-01", "2001-01-21") == [*first, "20010120-20010121"]
    assert names(tmp_path, "tiny", "2000-11-01", "2001-01-20") == ["20001101-20010120"]


def test_a_downloaded_month_that_grows_is_made_again_and_no_other(tmp_path):
    """Its deliveries are of the month; those of whole months are of no part but the first."""
    assert made(tmp_path, "tiny-era5", "2000-11-01", "2001-01-20") == ["20001101-20010101", "20010101-20010120"]
    assert names(tmp_path, "tiny-era5", "2000-11-01", "2001-01-22") == ["20001101-20010101", "20010101-20010122"]
    found, training = inputs(tmp_path, "tiny-era5", "2000-11-01", "2001-01-22")
    needed = [str(path) for path in found.source(training, "20010101-20010122")]
    assert len(needed) == 3
    assert sum("2001-01" in path for path in needed) == 2
    assert sum("20001101-20010101" in path for path in needed) == 1


def test_a_part_depends_on_the_one_before_and_a_month_on_what_holds_it(tmp_path):
    made(tmp_path, "tiny", "2000-12-01", "2001-01-20")
    found, training = inputs(tmp_path, "tiny", "2000-12-01", "2001-02-05")
    assert found.source(training, "20001201-20010120") == []
    assert [path.name for path in found.source(training, "20010120-20010205")] == ["20001201-20010120.receipt.json"]
    assert [path.name[:8] for path in found.states_of_month(training, "2000-12")] == ["20001201"]
    assert [path.name[:8] for path in found.states_of_month(training, "2001-01")] == ["20001201", "20010120"]
    assert [path.name[:8] for path in found.states_of_month(training, "2001-02")] == ["20010120"]


def test_a_name_that_is_no_part_is_refused():
    assert parts.parse("test/20010101-20010301") == parts.Part(datetime(2001, 1, 1), datetime(2001, 3, 1))
    with pytest.raises(ValueError, match="'test/2001-01' is no part of a dataset"):
        parts.parse("test/2001-01")
