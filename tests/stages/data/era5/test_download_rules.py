"""Downloads as Snakemake runs them: as many at once as `source.requests` says, and a refusal that fails the job."""

import threading
import time
from pathlib import Path

import pytest
import yaml

from lara.layout import Layout
from repository import snakemake_elsewhere

pytestmark = pytest.mark.slow

PRODUCTS = [f"validation/{kind}-levels/2001-03" for kind in ("single", "pressure")]


@pytest.fixture
def download(tmp_path, values):
    """Function (requests) → Snakemake's run of both deliveries of a month on two cores."""

    def run(requests):
        values["source"]["requests"] = requests
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump(values))
        receipts = [str(Layout(Path("results/era5")).delivery_receipt(name)) for name in PRODUCTS]
        return snakemake_elsewhere(tmp_path, config, "--cores", "2", "--keep-going", *receipts)

    return run


def finish_when_two_are_under_way(server, within):
    """Let no job end before that, or before `within` seconds have gone since the first was asked for."""

    def wait():
        while not server.jobs:
            time.sleep(0.05)
        end = time.monotonic() + within
        while server.most < 2 and time.monotonic() < end:
            time.sleep(0.05)
        server.states = ("successful",)
        for job in server.jobs.values():
            job.states = ["successful"]

    server.states = ("accepted",)
    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.parametrize(("requests", "within"), [(1, 8), (2, 120)])
def test_as_many_requests_are_under_way_at_once_as_the_configuration_allows(server, download, requests, within):
    """Two jobs on two cores: one waits for the other where one request is allowed, else both wait for the store."""
    finish_when_two_are_under_way(server, within)
    done = download(requests)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (len(server.jobs), server.most) == (2, requests)


def test_a_refusal_fails_the_job_alone_and_its_log_has_the_line(server, download, tmp_path):
    """The request on single levels is refused, the other goes on."""
    server.fault("submit", status=403, title="required licences not accepted", times=1)
    done = download(1)
    assert done.returncode != 0
    layout = Layout(tmp_path / "results" / "era5")
    whole = [name for name in PRODUCTS if layout.delivery_receipt(name).exists()]
    assert len(whole) == 1 == len(list(layout.root.rglob("*.grib")))
    (refused,) = set(PRODUCTS) - set(whole)
    last = layout.log(f"download-month/{refused}").read_text().splitlines()[-1]
    assert last.startswith("lara download-month: ") and "#manage-licences" in last
    assert last in done.stdout + done.stderr
