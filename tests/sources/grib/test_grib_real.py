"""Real ERA5 is read as eccodes prints it."""

import eccodes
import numpy as np
import pytest

from grib_cases import ASKED
from lara.grid import Grid
from lara.sources import grib
from lara.sources.grib import Expected, GribError
from lara.sources.messages import messages
from lara.state import Channels


def points(handle):
    """(latitude, longitude, value) of each point of a message, as `grib_get_data` prints them."""
    iterator, rows = eccodes.codes_grib_iterator_new(handle, 0), []
    while row := eccodes.codes_grib_iterator_next(iterator):
        rows.append(row)
    eccodes.codes_grib_iterator_delete(iterator)
    return np.array(rows)


def printed(path):
    """The points of all messages by name, level, date, time and ensemble member, by eccodes' iterator over points."""
    keys, found = ("shortName", "level", "dataDate", "dataTime", "perturbationNumber"), {}
    with path.open("rb") as stream:
        while (handle := eccodes.codes_grib_new_from_file(stream)) is not None:
            found[tuple(eccodes.codes_get_string(handle, key) for key in keys)] = points(handle)
            eccodes.codes_release(handle)
    return found


def test_real_era5_on_levels_is_what_eccodes_prints(shared_data):
    """z and t at 500 and 850 hPa of ten members, 3°, each point where eccodes puts it; float32 rounds, no more."""
    path = shared_data / "cfgrib_era5-levels-members.grib"
    channels, world = Channels.of([], ["z", "t"], [500, 850]), Grid.equiangular(61, 120, poles=True)
    times = np.arange("2017-01-01", "2017-01-03", np.timedelta64(12, "h"), dtype="datetime64[h]")
    found = printed(path)
    assert len(found) == 160
    latitude, longitude = (axis.ravel() for axis in np.meshgrid(world.latitude, world.longitude, indexing="ij"))
    for member in range(10):
        states = grib.read(path, Expected(channels, times, world, member=member)).states
        for time, state in zip(times, states, strict=True):
            day, hour = str(time.astype("M8[D]")).replace("-", ""), str(time)[11:13]
            for channel, field in zip(channels.channels, state, strict=True):
                rows = found[channel.variable, str(channel.level), day, f"{hour}00", str(member)]
                np.testing.assert_array_equal(rows.T, [latitude, longitude, rows[:, 2]])
                np.testing.assert_array_equal(field.ravel(), rows[:, 2].astype(np.float32))


def test_an_ensemble_is_refused_where_one_reanalysis_is_expected(shared_data):
    path = shared_data / "cfgrib_era5-levels-members.grib"
    channels = Channels.of([], ["z", "t"], [500, 850])
    times = np.arange("2017-01-01", "2017-01-03", np.timedelta64(12, "h"), dtype="datetime64[h]")
    with pytest.raises(GribError, match=r"message 2 \(z500, 2017-01-01T00:00\) repeats message 1 .*member 1"):
        grib.check(path, Expected(channels, times, Grid.equiangular(61, 120, poles=True)))


def test_real_era5_of_a_region_is_what_eccodes_prints(shared_data):
    """2 m temperature, 0.25°, 60 to 30° N: read point by point, and refused as a global field."""
    path = shared_data / "cfgrib_era5-single-level-scalar-time.grib"
    (message,) = [(str(found), found.kind.mesh, found.values()) for found in messages(path)]
    title, mesh, values = message
    (rows,) = printed(path).values()
    assert title == "message 1 (t2m, 2017-01-01T12:00)" and mesh.shape == (121, 201)
    np.testing.assert_array_equal(values.ravel(), rows[:, 2])
    assert rows[0, :2].tolist() == [60, -10] and rows[-1, :2].tolist() == [30, 40]
    with pytest.raises(GribError, match="another grid"):
        asked = Expected(Channels.parse(["t2m"]), np.array(["2017-01-01T12"], "M8[h]"), Grid.equiangular(9, 16))
        grib.check(path, asked)


def test_real_era5_that_is_truncated_is_refused(shared_data):
    path = shared_data / "cfgrib_era5-levels-corrupted.grib"
    with pytest.raises(GribError, match=r'message 1, from byte 0 of 44136, is cut off: it has no "7777" where'):
        grib.check(path, ASKED)
