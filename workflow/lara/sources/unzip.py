"""ZIP archives, as which a store may send any format: the files inside, or the delivered file itself."""

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from lara.sources.mesh import GribError

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # with files, and without any


def unzipped(path: Path) -> Iterator[Path]:
    """The file itself, or each file of an archive, one at a time beside it; names inside are not used.

    Raises GribError for an archive that is broken.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    if start not in _ZIP:
        yield path
        return
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise GribError(f"it is no whole ZIP archive ({error})") from error
    with archive, tempfile.TemporaryDirectory(dir=path.parent) as folder:
        members = (member for member in archive.infolist() if not member.is_dir())
        for position, member in enumerate(members, start=1):
            yield _extracted(archive, member, position, Path(folder))


def _extracted(archive: zipfile.ZipFile, member: zipfile.ZipInfo, position: int, folder: Path) -> Path:
    """A file of an archive, in the place of the one before."""
    file = folder / "file"
    try:
        with archive.open(member) as source, file.open("wb") as target:
            shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError, NotImplementedError) as error:
        raise GribError(f"file {position} of the archive is broken ({error})") from error
    return file
