"""The loopback store, and where a fetch is to leave its file."""

import pytest

from cds_orders import produce
from cds_server import serving


@pytest.fixture
def server(monkeypatch, tmp_path):
    yield from serving(produce, monkeypatch, tmp_path)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "era5" / "2001-02.grib"
