"""A run whose source is a Climate Data Store on this machine: six channels, 9 x 16 points asked for, 8 x 16 wanted."""

import copy

import pytest
import yaml

import worlds
from cds_server import serving
from era5_weather import produce
from repository import REPOSITORY

TINY = yaml.safe_load((REPOSITORY / "config" / "tiny-era5.yaml").read_text())
SMALL = {
    "name": "era5",
    "source": {"kind": "cds", "grid": "22.5/22.5", "patience": {"first": 0.02, "longest": 0.1, "queue": 60}},
    "state": {"surface": ["msl", "t2m"], "upper_air": ["z", "q"], "levels": [850, 500]},
    "grid": {"kind": "equiangular", "latitudes": 8, "longitudes": 16},
    "observations": {"columns": 10, "surface_stations": 10},
    "verification": {**TINY["verification"], "headline": ["z500"]},
}


@pytest.fixture
def values():
    """The configuration, to be changed by a test."""
    return copy.deepcopy({**TINY, **SMALL})


@pytest.fixture
def small(tmp_path, values):
    """Function: the run of the values as they are when it is called."""
    return lambda: worlds.write_config(tmp_path / "era5", values)


@pytest.fixture
def server(monkeypatch, tmp_path):
    yield from serving(produce, monkeypatch, tmp_path)
