"""Archives that others carry on: whatever xarray reads of one it writes again, in any format, whole or in parts."""

import shutil
import subprocess

import numpy as np
import pytest
import xarray as xr

from lara import store
from lara.grid import Grid
from lara.state import Channels
from repository import REPOSITORY

GRID, CHANNELS = Grid.gaussian(8, 16), Channels.of(["msl", "t2m"], ["z", "q"], [500, 850])
TIMES = np.datetime64("2000-02-27", "ns") + np.arange(12) * np.timedelta64(6, "h")
STATES = np.random.default_rng(0).standard_normal((len(TIMES), 6, 8, 16)).astype(np.float32)
PROVENANCE = {
    "title": "toy",
    "digest of models/main/weights.safetensors": "0123456789abcdef",
    "settings": {"grid": {"latitudes": 8}, "none": None},
    "marked": True,
    "sizes": [1, 2],
}
MADE = {"plain": {}, "rounded": {"keepbits": {"z": 9, "msl": 12}}}

pytestmark = pytest.mark.filterwarnings(
    "ignore:Consolidated metadata:UserWarning", "ignore::zarr.errors.ZarrUserWarning"
)


@pytest.fixture(params=[("plain", False), ("rounded", True)], ids=["plain", "rounded, with spread"])
def archive(request, tmp_path):
    """A sealed archive, opened by plain xarray."""
    (made, spread), path = request.param, tmp_path / "archive.zarr"
    store.create_archive(path, GRID, CHANNELS, TIMES, PROVENANCE | MADE[made], spread=spread)
    kinds = ("analysis", "background", *(["spread"] if spread else []))
    store.write_archive(path, 0, **{kind: STATES + number for number, kind in enumerate(kinds)})
    store.seal_archive(path)
    with xr.open_zarr(path) as dataset:
        yield dataset


def same(path, wanted, **how):
    """What was written reads as what was written of it, attributes of variables included."""
    with xr.open_dataset(path, **how) as found:
        xr.testing.assert_equal(found, wanted)
        for name in wanted.data_vars:
            assert (
                found[name].attrs.items() >= {k: v for k, v in wanted[name].attrs.items() if isinstance(v, str)}.items()
            )


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_an_archive_becomes_netcdf4(archive, tmp_path, engine):
    archive.to_netcdf(tmp_path / "a.nc", engine=engine)
    same(tmp_path / "a.nc", archive)


@pytest.mark.parametrize("version", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
def test_each_variable_becomes_netcdf3(archive, tmp_path, version):
    for name in archive.data_vars:
        archive[[name]].to_netcdf(tmp_path / f"{name}.nc", format=version)
        same(tmp_path / f"{name}.nc", archive[[name]])


PARTS = {
    "the whole": lambda data: data,
    "a level": lambda data: data.sel(level=500),
    "a day and a half": lambda data: data.isel(time=slice(1, 7)),
    "00 UTC": lambda data: data.isel(time=slice(None, None, 4)),
    "a region": lambda data: data.isel(latitude=slice(2, 5), longitude=slice(3, 9)),
    "one time": lambda data: data.isel(time=5),
    "daily means": lambda data: data.resample(time="1D").mean(keep_attrs=True),
    "blocks of days": lambda data: data.chunk(time=4),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_an_archive_becomes_zarr_and_netcdf(archive, tmp_path, part):
    """As read, with the encoding that came with it; in Zarr 2, which has no codecs of Zarr 3, without."""
    wanted = PARTS[part](archive)
    wanted.to_zarr(tmp_path / "three.zarr")
    same(tmp_path / "three.zarr", wanted, engine="zarr")
    wanted.drop_encoding().to_zarr(tmp_path / "two.zarr", zarr_format=2)
    same(tmp_path / "two.zarr", wanted, engine="zarr")
    wanted.to_netcdf(tmp_path / "a.nc")
    same(tmp_path / "a.nc", wanted)


def test_an_archive_is_appended_to_a_copy_within_a_day(archive, tmp_path):
    archive.isel(time=slice(0, 5)).to_zarr(tmp_path / "copy.zarr")
    archive.isel(time=slice(5, None)).to_zarr(tmp_path / "copy.zarr", append_dim="time")
    same(tmp_path / "copy.zarr", archive, engine="zarr")


def test_an_archive_opened_in_days_is_carried_on_too(archive, tmp_path):
    with store.open_archive(tmp_path / "archive.zarr") as opened:
        assert opened["geopotential"].chunks[0] == (4, 4, 4)
        opened.to_zarr(tmp_path / "copy.zarr")
    same(tmp_path / "copy.zarr", archive, engine="zarr")


def test_names_of_attributes_are_such_as_cf_asks_for(archive):
    """Letters, digits and underscores; values are texts and numbers."""
    owners = [archive, *archive.variables.values()]
    for name, value in (item for owner in owners for item in owner.attrs.items()):
        assert name.isidentifier() and name.isascii(), name
        assert isinstance(value, str | int | float | np.generic), (name, value)
    assert archive.attrs["digest_of_models_main_weights_safetensors"] == "0123456789abcdef"


def test_attributes_that_would_get_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="share names"):
        store.create_archive(tmp_path / "a.zarr", GRID, CHANNELS, TIMES, {"digest of a/b": "1", "digest of a-b": "2"})


def test_a_reader_like_weatherbench_x_finds_what_it_looks_for(archive):
    """It selects variables, levels and init times by name, and weighs by latitude."""
    chosen = archive[["geopotential", "2m_temperature"]].sel(level=[500], time=TIMES[::2])
    assert chosen["geopotential"].dims == ("time", "level", "latitude", "longitude")
    weights = np.cos(np.deg2rad(chosen["latitude"]))
    assert np.isfinite(chosen["geopotential"].weighted(weights).mean(("latitude", "longitude"))).all()
    assert archive["latitude"].attrs["units"] == "degrees_north" and archive["level"].attrs["units"] == "hPa"


def test_cf_xarray_finds_coordinates_bounds_and_standard_names(archive):
    pytest.importorskip("cf_xarray")
    assert archive.cf.standard_names["geopotential"][0] == "geopotential"
    assert {"latitude", "longitude", "time"} <= archive.cf.coordinates.keys()
    assert archive.cf.bounds["latitude"] == ["latitude_bounds"]


@pytest.mark.parametrize("tool", [["ncdump", "-h"], ["cdo", "-s", "infon"]], ids=lambda words: words[0])
def test_tools_of_the_field_read_what_xarray_wrote(archive, tmp_path, tool):
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    archive.to_netcdf(tmp_path / "a.nc")
    done = subprocess.run([*tool, str(tmp_path / "a.nc")], capture_output=True, text=True)
    assert done.returncode == 0 and "geopotential" in done.stdout, done.stderr


def test_the_line_that_rechunks_works_as_it_is_printed(archive, tmp_path):
    """The one of workflow/README.md."""
    text = (REPOSITORY / "workflow" / "README.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("xr.open_zarr(archive)")]
    exec(line, {"xr": xr, "archive": tmp_path / "archive.zarr", "copy": tmp_path / "copy.zarr"})
    with xr.open_zarr(tmp_path / "copy.zarr") as copy:
        assert copy["geopotential"].encoding["chunks"] == (12, 2, 8, 8)
        xr.testing.assert_equal(copy["geopotential"].load(), archive["geopotential"])
