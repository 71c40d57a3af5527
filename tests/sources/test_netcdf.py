"""Deliveries in the Climate Data Store's NetCDF, plain or zipped, are read and refused as those in GRIB."""

import zipfile

import netCDF4
import numpy as np
import pytest

import gribs
from lara.grid import Grid
from lara.sources import grib
from lara.sources.grib import Expected, GribError
from lara.state import Channels

WORLD = Grid.equiangular(9, 16, poles=True)
LEVELS, SURFACE = Channels.of([], ["z", "q"], [50, 850]), Channels.of(["msl", "t2m"], [], [])
TIMES = np.arange("1979-02-27T12", "1979-03-01T00", np.timedelta64(6, "h"), dtype="datetime64[h]")
UNITS = {"z": "m**2 s**-2", "q": "kg kg**-1", "msl": "Pa", "t2m": "K"}  # as the store spells them
FINAL = ("0001",) * len(TIMES)


def write(path, channels, truth, expver=FINAL, rows=WORLD.latitude):
    """A file as the store's converter writes it: levels from the ground up, deflated floats, times in seconds."""
    with netCDF4.Dataset(path, "w") as dataset:
        axes = {"valid_time": TIMES.astype("M8[s]").astype(int), "latitude": rows, "longitude": WORLD.longitude}
        levels = sorted({channel.level for channel in channels.channels if channel.level}, reverse=True)
        for name, values in (axes | ({"pressure_level": np.array(levels, float)} if levels else {})).items():
            dataset.createDimension(name, len(values))
            dataset.createVariable(name, values.dtype, (name,))[:] = values
        dataset["valid_time"].units = "seconds since 1970-01-01"
        dataset["valid_time"].calendar = "proleptic_gregorian"
        dataset.createVariable("expver", str, ("valid_time",))[:] = np.array(expver, object)
        dataset.createVariable("number", "i8", ())[:] = 0
        for name in channels.variables:
            dimensions = ("valid_time", *(["pressure_level"] if levels else []), "latitude", "longitude")
            variable = dataset.createVariable(name, "f4", dimensions, zlib=True, fill_value=np.nan)
            variable.units = UNITS[name]
            positions = channels.select(name)[::-1]  # ascending levels in ours
            variable[:] = truth[:, positions] if levels else truth[:, positions[0]]
    return path


def test_states_are_what_was_written_wherever_levels_and_rows_begin(tmp_path):
    """Float32 to the bit; rows from the south are turned, levels found by their pressure."""
    for channels in (LEVELS, SURFACE):
        truth = gribs.truth(channels, TIMES, WORLD).astype(np.float32)
        for rows in (slice(None), slice(None, None, -1)):
            path = write(tmp_path / "month.nc", channels, truth[:, :, rows], rows=WORLD.latitude[rows])
            delivery = grib.read(path, Expected(channels, TIMES, WORLD))
            assert np.array_equal(delivery.states, truth) and not delivery.preliminary.any()


def test_a_zip_of_several_files_is_one_delivery_and_leaves_nothing_behind(tmp_path):
    """Names in the archive that climb out of its folder lead nowhere."""
    channels = Channels(SURFACE.channels + LEVELS.channels)
    truth = gribs.truth(channels, TIMES, WORLD).astype(np.float32)
    with zipfile.ZipFile(tmp_path / "month.zip", "w") as archive:
        archive.write(write(tmp_path / "a.nc", SURFACE, truth[:, :2]), "../../evil.nc")
        archive.write(write(tmp_path / "b.nc", LEVELS, truth[:, 2:]), "data_stream-oper_stepType-instant.nc")
    states = grib.read(tmp_path / "month.zip", Expected(channels, TIMES, WORLD)).states
    assert np.array_equal(states, truth)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nc", "b.nc", "month.zip"]
    assert not list(tmp_path.parent.glob("**/evil.nc"))


def test_faults_are_refused_as_in_grib(tmp_path):
    """Missing values, missing and unasked fields, ERA5T, another grid: named with field and time."""
    truth = gribs.truth(LEVELS, TIMES, WORLD).astype(np.float32)
    holes = truth.copy()
    holes[1, 0, 2, 3:5] = np.nan
    late = ("0001",) * 5 + ("0005",)
    shifted = Grid("equiangular", WORLD.latitude, WORLD.longitude + 11.25)
    for states, expver, asked, fault in (
        (holes, FINAL, Expected(LEVELS, TIMES, WORLD), r"z50, 1979-02-27T18:00\) lacks 2 of its 144 values"),
        (truth, late, Expected(LEVELS, TIMES, WORLD), "1979-02-28T18:00.*is ERA5T"),
        (truth, FINAL, Expected(LEVELS, TIMES[1:], WORLD), "1979-02-27T12:00.* was not asked for"),
        (truth, FINAL, Expected(LEVELS, np.append(TIMES, TIMES[-1] + 6), WORLD), "4 of 28 fields are missing"),
        (truth, FINAL, Expected(LEVELS, TIMES, shifted), "lies on another grid"),
    ):
        path = write(tmp_path / "month.nc", LEVELS, states, expver)
        with pytest.raises(GribError, match=fault):
            grib.check(path, asked)
    marked = grib.check(write(path, LEVELS, truth, late), Expected(LEVELS, TIMES, WORLD, preliminary=True))
    assert marked.tolist() == [False] * 5 + [True]


def test_a_cut_file_or_archive_and_another_layout_are_refused(tmp_path):
    asked = Expected(SURFACE, TIMES, WORLD)
    plain = write(tmp_path / "a.nc", SURFACE, gribs.truth(SURFACE, TIMES, WORLD))
    zipped = tmp_path / "month.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(plain)
    for whole, kind in ((plain, "NetCDF file"), (zipped, "ZIP archive")):
        cut = tmp_path / "cut"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        with pytest.raises(GribError, match=f"no whole {kind}"):
            grib.check(cut, asked)
    with netCDF4.Dataset(tmp_path / "old.nc", "w") as dataset:
        dataset.createDimension("time", 1)
    with pytest.raises(GribError, match=r"has no latitude, longitude, valid_time; ask for 'data_format': 'grib'"):
        grib.check(tmp_path / "old.nc", asked)


def changed(path, change):
    """A file with its last change made in place."""
    with netCDF4.Dataset(path, "a") as dataset:
        change(dataset)
    return path


@pytest.mark.parametrize(("name", "units"), [("t2m", "degC"), ("t2m", "C"), ("msl", "hPa"), ("msl", "1")])
def test_other_units_than_the_stores_are_refused_by_name(tmp_path, name, units):
    """Whatever the values are."""
    path = write(tmp_path / "month.nc", SURFACE, gribs.truth(SURFACE, TIMES, WORLD))
    changed(path, lambda dataset: dataset[name].setncattr("units", units))
    with pytest.raises(GribError, match=rf"\({name}, .*has units '{units}', not {'K' if name == 't2m' else 'Pa'}"):
        grib.check(path, Expected(SURFACE, TIMES, WORLD))


def test_a_variable_without_units_is_refused(tmp_path):
    path = write(tmp_path / "month.nc", SURFACE, gribs.truth(SURFACE, TIMES, WORLD))
    changed(path, lambda dataset: dataset["t2m"].delncattr("units"))
    with pytest.raises(GribError, match=r"t2m, .*has units 'none'"):
        grib.check(path, Expected(SURFACE, TIMES, WORLD))


@pytest.mark.parametrize(
    ("channels", "position", "factor", "offset", "fault"),
    [
        (SURFACE, 1, 1, -273.15, "beyond the plausible 100 to 400"),
        (SURFACE, 0, 0.01, 0, "beyond the plausible 80000 to 120000"),
        (LEVELS, 1, 1 / 9.80665, 0, "z850.* has the mean .* other units"),
        (LEVELS, 3, 1000, 0, "q850.* beyond the plausible"),
    ],
    ids=["degrees Celsius", "hectopascals", "heights in metres", "grams"],
)
def test_other_units_under_the_name_of_the_right_ones_are_refused(tmp_path, channels, position, factor, offset, fault):
    truth = gribs.truth(channels, TIMES, WORLD)
    truth[:, position] = factor * truth[:, position] + offset
    with pytest.raises(GribError, match=fault):
        grib.check(write(tmp_path / "month.nc", channels, truth), Expected(channels, TIMES, WORLD))


def test_missing_values_of_packed_fields_are_refused(tmp_path):
    """Unpacked, the number that stands for them would lie just below the lowest."""
    path = write(tmp_path / "month.nc", SURFACE, gribs.truth(SURFACE, TIMES, WORLD))
    with netCDF4.Dataset(path, "a") as dataset:
        dataset.renameVariable("t2m", "old")
        packed = dataset.createVariable("t2m", "i2", dataset["old"].dimensions, fill_value=-32767)
        packed.setncatts({"units": "K", "scale_factor": 1e-3, "add_offset": 273.0})
        packed[:] = np.ma.masked_array(dataset["old"][:], np.arange(dataset["old"].size).reshape(-1, 9, 16) % 700 == 3)
        dataset.renameVariable("old", "land")
    with pytest.raises(GribError, match=r"t2m, .*lacks"):
        grib.check(path, Expected(SURFACE, TIMES, WORLD, exactly=False))


@pytest.mark.parametrize("calendar", ["noleap", "365_day", "360_day", "julian", "all_leap", "utc"])
def test_dates_of_another_calendar_are_refused_by_name(tmp_path, calendar):
    path = write(tmp_path / "month.nc", SURFACE, gribs.truth(SURFACE, TIMES, WORLD))
    changed(path, lambda dataset: dataset["valid_time"].setncattr("calendar", calendar))
    with pytest.raises(GribError, match=f"times of calendar '{calendar}'"):
        grib.check(path, Expected(SURFACE, TIMES, WORLD))
