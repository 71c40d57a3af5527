"""Good deliveries."""

import pytest

import gribs
from grib_cases import CHANNELS, POLES, TIMES, written


@pytest.fixture
def month(tmp_path):
    """Function (encoding, channels, grid) → path and truth of a few times in that encoding."""

    def make(encoding=gribs.USUAL, channels=CHANNELS, grid=POLES, times=TIMES):
        truth = gribs.truth(channels, times, grid)
        return written(tmp_path, gribs.delivery(channels, times, truth, grid, encoding)), truth

    return make


@pytest.fixture
def parts():
    """The messages of a good delivery."""
    return gribs.delivery(CHANNELS, TIMES, gribs.truth(CHANNELS, TIMES, POLES), POLES)
