"""The loopback store, and where a fetch is to leave its file."""

import pytest

from cds_orders import produce
from cds_server import CdsServer


@pytest.fixture
def server(monkeypatch, tmp_path):
    with CdsServer(produce) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "no.cdsapirc"))
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "era5" / "2001-02.grib"
