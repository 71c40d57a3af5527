"""ERA5 is but a configuration: from the loopback store to an archive and scores, by Snakemake; large ones plan."""

import re

import pytest
import xarray as xr
import yaml

from cds_server import KEY
from era5_weather import states
from lara.grid import Grid
from lara.layout import Layout
from lara.state import Channels
from repository import REPOSITORY, snakemake_elsewhere

pytestmark = pytest.mark.slow

ARCHIVE, SCORES = "reanalysis/l4dvar.zarr.receipt.json", "verification/l4dvar.nc"


def snakemake(folder, config, *words):
    """What Snakemake prints, on one core."""
    done = snakemake_elsewhere(folder, config, "--cores", "1", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def written(folder, values, **source):
    """A file with the configuration, some keys of its source replaced."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**values, "source": {**values["source"], **source}}))
    return path


def counts(text):
    """Jobs by rule in a plan."""
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)}


def test_era5_is_downloaded_learnt_observed_and_reanalysed(tmp_path, values, server, monkeypatch):
    """Six requests, each made once; again, there is nothing to do; and the key of the store is nowhere."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    values["experiments"] = {"l4dvar": values["experiments"]["l4dvar"]}
    config, root = written(tmp_path, values), tmp_path / "results" / "era5"
    targets = [f"results/era5/{name}" for name in (ARCHIVE, SCORES)]
    said = snakemake(tmp_path, config, *targets)
    assert server.count("submit") == 6
    archive = xr.open_zarr(root / "reanalysis" / "l4dvar.zarr")
    channels, grid = Channels.of((), ("z",), (500,)), Grid.equiangular(16, 32)
    truth = states(channels, archive["time"].values, grid).mean()
    assert float(archive["geopotential"].sel(level=500).mean()) == pytest.approx(float(truth), rel=0.03)
    errors = xr.load_dataset(Layout(root).scores("l4dvar"))
    assert all(bool(errors[name].notnull().all()) for name in errors)
    assert "Nothing to be done" in snakemake(tmp_path, config, *targets, "--dry-run")
    assert "Nothing to be done" in snakemake(tmp_path, written(tmp_path, values, requests=1), *targets, "--dry-run")
    assert not _holding(KEY, tmp_path) and KEY not in said


def test_another_grid_asked_for_downloads_all_and_a_longer_period_what_is_new(tmp_path, values, server):
    """By the plan, after the validation period has been downloaded and made, with as many requests at once as the
    configuration allows where the profile allows more."""
    receipt = "results/era5/data/parts/validation/20010301-20010313.receipt.json"
    said = snakemake(tmp_path, written(tmp_path, values, requests=1), receipt)
    assert 'cds_requests=Resource("cds_requests", 1)' in said
    plan = snakemake(tmp_path, written(tmp_path, values, grid="11.25/11.25"), receipt, "--dry-run")
    assert counts(plan) == {"download_month": 2, "generate_dataset": 1, "total": 3}
    plan = snakemake(tmp_path, written(tmp_path, values, regrid="bilinear"), receipt, "--dry-run")
    assert counts(plan) == {"generate_dataset": 1, "total": 1}
    values["datasets"]["validation"]["end"] = "2001-04-01"
    receipt = receipt.replace("20010313", "20010401")
    plan = snakemake(tmp_path, written(tmp_path, values), receipt, "--dry-run")
    assert counts(plan) == {"download_month": 2, "generate_dataset": 1, "total": 3}


@pytest.mark.parametrize("name", ["era5-5.6deg", "era5-1.4deg"])
def test_the_large_configurations_plan(tmp_path, name):
    """40 years in both products, every month one job of each."""
    values = yaml.safe_load((REPOSITORY / "config" / f"{name}.yaml").read_text())
    plan = snakemake(tmp_path, written(tmp_path, values), "--dry-run")
    assert counts(plan)["download_month"] == 960
    assert counts(plan)["generate_dataset"] == 3


def _holding(key, folder):
    """Files with the key in their content or name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if key in str(path) or key.encode() in path.read_bytes()]
