"""Configurations whose source is ERA5: what they may say, and the one line each that cannot run is refused with."""

import calendar
from datetime import datetime

import pytest
import yaml

from configurations import CONFIGS, change, refusal
from lara.config import Cds, ConfigError, Zarr, era5_checks, load, parse
from lara.sources import cds


@pytest.fixture
def values():
    """The tiny configuration of ERA5 as plain values."""
    return yaml.safe_load((CONFIGS / "tiny-era5.yaml").read_text())


CHANGES = [  # one key set, and what the refusal must name
    ("datasets.test.member", 2, ["datasets.test.member 2", "ERA5 has one member"]),
    ("datasets.test.begin", "2001-03-12", ["datasets.test (test, 2001-03-12", "overlaps datasets.validation", "part"]),
    ("datasets.training.begin", "1939-12-01", ["datasets.training.begin 1939-12-01", "begins in 1940"]),
    ("datasets.test.begin", "2001-04-01T06:00", ["datasets.test.begin 2001-04-01 06:00", "00:00 UTC"]),
    ("step_hours", 5, ["step_hours 5", "does not divide a day"]),
    ("state.levels", [500, 850, 910], ["state.levels [910]", "choose from them"]),
    ("source.grid", "22.5/22.5", ["source.grid 22.5/22.5", "9 x 16 points", "16 x 32", "bilinear"]),
    ("source.grid", "1.4/1.4", ["source.grid", "1.4/1.4", "does not divide 360 and 180"]),
    ("source.grid", [1.0, 1.0], ["source.grid", "string"]),
    ("source.regrid", "nearest", ["source.regrid", "nearest"]),
    ("source.preliminary", "accept", ["source.preliminary", "'refuse' or 'mark'"]),
    ("source.patience", {"first": 10, "longest": 5}, ["source.patience", "first 10 s exceeds longest 5 s"]),
    ("source.key", "abc", ["unknown key 'source.key'"]),
    ("source.truncation", 21, ["unknown key 'source.truncation'"]),
    ("source.kind", "mars", ["source", "'simulated'", "'cds'", "'zarr'"]),
]


@pytest.mark.parametrize(("key", "value", "parts"), CHANGES, ids=lambda part: part if isinstance(part, str) else "")
def test_what_cannot_run_is_refused_with_key_value_and_remedy(values, key, value, parts):
    message = refusal(change(values, key, value))
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.parametrize("source", [{"kind": "cds", "grid": "5.625/5.625"}, {"kind": "zarr", "url": "gs://a/b.zarr"}])
@pytest.mark.parametrize(
    ("end", "preliminary", "parts"),
    [
        ("2027-04-13", "mark", ["datasets.test.end 2027-04-13", "ERA5T is there to 2026-11-23", "earlier"]),
        ("2026-11-28", "refuse", ["datasets.test.end 2026-11-28", "ERA5 is there to 2026-09-29", "earlier"]),
        ("2026-10-20", "refuse", ["ERA5 is there to 2026-09-29", "source.preliminary: mark"]),
        ("2026-10-20", "mark", []),
        ("2026-09-29", "refuse", []),
    ],
)
def test_a_period_that_is_not_there_yet_is_refused_before_anything_is_downloaded(
    values, monkeypatch, source, end, preliminary, parts
):
    """On 28 November 2026; the remedy names ERA5T where that is there."""
    monkeypatch.setattr(era5_checks, "today", lambda: datetime(2026, 11, 28))
    changed = change(change(values, "source", {**source, "preliminary": preliminary}), "datasets.test.end", end)
    if not parts:
        parse(changed)
        return
    message = refusal(changed)
    assert [part for part in parts if part not in message] == [], message
    assert ("preliminary: mark" in message) == ("source.preliminary: mark" in parts)


def test_the_sources_are_told_apart_by_their_kind(values):
    assert isinstance(parse(values).source, Cds)
    zarr = change(values, "source", {"kind": "zarr", "url": "gs://a/b.zarr"})
    assert isinstance(parse(zarr).source, Zarr)
    assert parse(zarr).deliveries("test") == []


def test_an_address_with_a_password_is_refused(values):
    """The resolved configuration is written beside the results; the message does not repeat it."""
    with pytest.raises(ConfigError, match="user or password"):
        parse(change(values, "source", {"kind": "zarr", "url": "https://me:secret@host/store.zarr"}))


def test_a_later_or_earlier_dataset_is_no_overlap_whatever_its_use(values):
    """Stretches may touch; with a simulated source another year of one member would be refused."""
    parse(change(values, "datasets.validation.end", "2001-04-01"))
    parse(change(values, "datasets.training-2", {"use": "training", "begin": "1990-01-01", "end": "1990-02-01"}))


def test_deliveries_are_the_months_and_days_of_a_dataset_in_both_products(values):
    config = parse(change(values, "datasets.training", {"use": "training", "begin": "2000-02-27", "end": "2000-04-01"}))
    parts = [
        f"{product}/{month}" for month in ("2000-02", "2000-03") for product in ("pressure-levels", "single-levels")
    ]
    assert config.deliveries("training") == [f"training/{part}" for part in parts]
    assert config.days("training", "2000-02") == [27, 28, 29]
    assert config.days("training", "2000-03") == list(range(1, 32))
    surface = change(change(values, "state", {"upper_air": []}), "verification.headline", ["t2m"])
    assert parse(change(surface, "autoencoders.main.latent_channels", 4)).products == ["single-levels"]


GRIDS = {"1.40625/1.40625": (129, 256), "0.25/0.25": (721, 1440), "30/15": (13, 12)}


@pytest.mark.parametrize(("grid", "shape"), GRIDS.items())
def test_the_grid_asked_for_has_rows_on_both_poles(values, grid, shape):
    """East-west first, as the store has it."""
    source = parse(change(change(values, "source.grid", grid), "source.regrid", "bilinear")).source
    assert source.shape == shape


def test_the_patience_of_the_configuration_is_that_of_the_download(values):
    """Same keys, same defaults: the two cannot drift apart."""
    assert cds.Patience(**parse(values).source.patience.model_dump()) == cds.Patience()


@pytest.mark.parametrize(("name", "grid"), [("era5-5.6deg", (32, 64)), ("era5-1.4deg", (128, 256))])
def test_the_large_configurations_are_forty_years_of_69_channels(name, grid):
    """1979 to 2018, every day in one dataset; one request per month and product."""
    config = load(CONFIGS / f"{name}.yaml")
    assert (config.grid.latitudes, config.grid.longitudes) == grid
    assert len(config.state.channels) == 69
    days = {day for key in config.datasets for month in config.months(key) for day in _days(config, key, month)}
    assert len(days) == sum(366 if calendar.isleap(year) else 365 for year in range(1979, 2019))
    assert sum(len(config.deliveries(key)) for key in config.datasets) == 40 * 12 * 2


def _days(config, dataset, month):
    return [(month, day) for day in config.days(dataset, month)]
