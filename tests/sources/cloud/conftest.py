"""Small stores of each kind."""

import shutil

import pytest

import cloud_stores
from cloud_stores import ARCO, ARCO_AXIS, HOURLY, TIMES, WB2_FINE


@pytest.fixture(scope="session")
def arco(tmp_path_factory):
    """A store with the axis of the real one, 1900 to 2050, and two days of data; not to be touched."""
    return cloud_stores.write(tmp_path_factory.mktemp("arco") / "era5.zarr", ARCO, HOURLY, axis=ARCO_AXIS)


@pytest.fixture(scope="session")
def fine(tmp_path_factory):
    """Four days over new year, 6-hourly, one step per chunk; not to be touched."""
    folder = tmp_path_factory.mktemp("fine") / "era5.zarr"
    cloud_stores.write(folder, WB2_FINE, TIMES)
    return folder


@pytest.fixture
def path(fine, tmp_path):
    """A copy of `fine`."""
    return shutil.copytree(fine, tmp_path / "era5.zarr")
