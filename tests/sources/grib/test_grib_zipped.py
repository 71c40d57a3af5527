"""A ZIP archive is read as what it holds: GRIB, NetCDF, or nothing of use."""

import zipfile

import numpy as np
import pytest

from grib_cases import ASKED, written
from lara.sources import grib
from lara.sources.grib import GribError


def zipped(tmp_path, *files):
    """A delivery as an archive of these files."""
    path = tmp_path / "zipped.grib"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(files):
            archive.writestr(f"../../file{number}", content)
    return path


def test_zipped_grib_is_what_is_in_it(tmp_path, parts):
    """In one file or in two."""
    wanted = grib.read(written(tmp_path, parts), ASKED).states
    for files in ([b"".join(parts)], [b"".join(parts[:7]), b"".join(parts[7:])]):
        assert np.array_equal(grib.read(zipped(tmp_path, *files), ASKED).states, wanted)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["month.grib", "zipped.grib"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda parts: [b"".join(parts[1:])], "1 of 36 fields are missing"),
        (lambda parts: [b"".join(parts[:5]), b"".join(parts[4:])], "message 6 .* repeats message 5"),
        (lambda parts: [b"<html>no</html>"], "no GRIB message .*<html>"),
        (lambda parts: [], "36 of 36 fields are missing"),
        (lambda parts: [b"".join(parts)[:-3]], "is cut off"),
    ],
    ids=["missing", "twice", "a page", "empty", "cut off"],
)
def test_what_is_wrong_in_an_archive_is_said_as_of_a_plain_file(tmp_path, parts, change, words):
    with pytest.raises(GribError, match=words):
        grib.check(zipped(tmp_path, *change(parts)), ASKED)


def test_a_broken_archive_is_called_that(tmp_path, parts):
    path = zipped(tmp_path, b"".join(parts))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(GribError, match="no whole ZIP archive"):
        grib.check(path, ASKED)
    path.write_bytes(whole[:200] + bytes(50) + whole[250:])
    with pytest.raises(GribError, match="file 1 of the archive is broken"):
        grib.check(path, ASKED)
