"""A few times of GRIB as it is asked for, and how it is written, compared and refused in tests."""

import numpy as np
import pytest

from lara.grid import Grid
from lara.sources import grib
from lara.sources.grib import Expected, GribError
from lara.state import Channels

POLES = Grid.equiangular(9, 16, poles=True)
FINE = Grid.equiangular(129, 256, poles=True)  # 1.40625°, which three decimals cannot hold
CHANNELS = Channels.of([], ["z", "q", "t"], [50, 850])
SURFACE = Channels.of(["msl", "u10", "v10", "t2m"], [], [])
TIMES = np.arange("1979-02-27T12", "1979-03-01T00", np.timedelta64(6, "h"), dtype="datetime64[h]")
ASKED = Expected(CHANNELS, TIMES, POLES)
EDITIONS = pytest.mark.parametrize("edition", [1, 2])


def packing_error(truth, bits=16):
    """Half the step of simple packing (a power of two no larger than twice the range over 2^bits), and float32."""
    spread = truth.max(axis=(-1, -2), keepdims=True) - truth.min(axis=(-1, -2), keepdims=True)
    return spread / 2**bits + 2.0**-22 * np.abs(truth)


def written(tmp_path, parts):
    path = tmp_path / "month.grib"
    path.write_bytes(b"".join(parts))
    return path


def refused(tmp_path, parts, match, expected=ASKED):
    path = written(tmp_path, parts)
    with pytest.raises(GribError, match=match) as caught:
        grib.check(path, expected)
    assert str(path) in str(caught.value) and "download it again" in str(caught.value)
