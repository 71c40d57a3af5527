"""Stores behind an address: read without an account, tried again, and what is no store is named."""

from collections import Counter
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import xarray as xr

import cloud_stores
from cloud_stores import (
    CHANNELS,
    TIMES,
    read,
    truth,
)
from lara.sources import cloud, cloud_access


def test_a_bucket_needs_its_package_and_no_account(monkeypatch):
    url = "gs://weatherbench2/datasets/era5/1959-2022-6h-64x32_equiangular_conservative.zarr"
    monkeypatch.setattr(cloud_access, "find_spec", lambda name: None if name == "gcsfs" else name)
    with pytest.raises(
        RuntimeError, match=r"needs gcsfs: uv pip install -r envs/cloud\.txt, or read https://storage\.g"
    ):
        cloud.open_store(url)
    asked = {}
    monkeypatch.setattr(cloud_access, "find_spec", lambda name: name)
    monkeypatch.setattr(cloud.xr, "open_zarr", lambda url, **options: asked.update(options) or xr.Dataset())
    for address, anonymous in ((url, {"token": "anon"}), ("s3://bucket/era5.zarr", {"anon": True})):
        with pytest.raises(ValueError, match="no coordinate time"):
            cloud.open_store(address)
        assert asked["storage_options"] == anonymous


@contextmanager
def served(folder, refuse=lambda path, count: False):
    """A server of `folder`: its address, and the requests as (path, authorised); refuses with 503."""
    requests, counts = [], Counter()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            requests.append((self.path, "Authorization" in self.headers))
            counts[self.path] += 1
            if refuse(self.path, counts[self.path]):
                self.send_error(503)
            else:
                super().do_GET()

        def log_message(self, *message):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


def test_a_store_is_read_over_http_without_an_account_and_tried_again(path, monkeypatch):
    """The first answer for every field is a fault of the server; a chunk that is not there is a gap."""
    monkeypatch.setattr(cloud_access, "_PAUSES", (0.0,) * 40)
    cloud_stores.chunks(path, "2m_temperature")[3].unlink()
    with served(path.parent, lambda file, count: count == 1 and file.endswith(("ature/1.0.0", ".zmetadata"))) as web:
        address, requests = web
        store, months = read(f"{address}/era5.zarr", TIMES[:6])
    assert months[0].missing == {TIMES[3]: "no data for t2m"}
    assert np.array_equal(months[0].states, truth(CHANNELS, np.delete(TIMES[:6], 3), store.grid))
    assert not any(authorised for _, authorised in requests)


def test_a_server_that_keeps_failing_gives_no_data(path, monkeypatch):
    monkeypatch.setattr(cloud_access, "_PAUSES", (0.0, 0.0))
    with served(path.parent, lambda file, count: file.endswith("geopotential/1.0.0.0")) as (address, requests):
        with pytest.raises(OSError, match=r"/era5\.zarr: reading 2019-12-30T00:00 to 2019-12-30T06:00 failed.*503"):
            read(f"{address}/era5.zarr", TIMES[:2])
        assert sum(file.endswith("geopotential/1.0.0.0") for file, _ in requests) == 3
        with pytest.raises(OSError, match="there is no Zarr store"):
            cloud.open_store(f"{address}/nothing.zarr")


def test_what_is_no_store_is_named(tmp_path):
    with pytest.raises(OSError, match=r"nothing\.zarr: opening it failed: there is no Zarr store"):
        cloud.open_store(str(tmp_path / "nothing.zarr"))
