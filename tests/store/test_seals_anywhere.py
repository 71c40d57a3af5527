"""Seals on any file system: linked where files can be, copied and compared where not; full disks named."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from damage import shard
from lara import store
from lara.store import StoreError, arrays
from lara.store.versions import receipt_of
from toy_archives import CHANNELS, GRID, STATES, TIMES, sealed_parts, write_part


@pytest.fixture
def parts(tmp_path):
    """Three days, sealed each."""
    return sealed_parts(tmp_path / "chunks")


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_an_archive_is_copied_where_files_cannot_be_linked(tmp_path, parts, monkeypatch, error):
    """Chunks on another file system, or one without hard links; later versions then share nothing, and are as whole."""

    def no_links(self, target):
        raise OSError(error, os.strerror(error), str(target))

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    archive = tmp_path / "toy.zarr"
    store.assemble_archive(archive, parts, GRID, CHANNELS, TIMES)
    before = store.version_of(archive)
    write_part(parts[1], 1, STATES + 1)
    store.assemble_archive(archive, parts, GRID, CHANNELS, TIMES)
    assert store.version_of(archive) != before
    for version in store.versions_of(archive):
        assert store.verify_archive(version) == []
    assert not shard(archive, 0, "geopotential").samefile(shard(parts[0], 0, "geopotential"))


def test_chunks_on_another_file_system_in_truth_are_sealed(tmp_path, parts):
    """Of the same content as the archive that is linked, to the byte."""
    archive = tmp_path / "toy.zarr"
    store.assemble_archive(archive, parts, GRID, CHANNELS, TIMES)
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        far = [Path(shutil.copytree(part, Path(folder) / part.name)) for part in parts]
        for part, copy in zip(parts, far, strict=True):
            shutil.copy(receipt_of(part), receipt_of(copy))
        store.assemble_archive(tmp_path / "far.zarr", far, GRID, CHANNELS, TIMES)
    assert store.version_of(tmp_path / "far.zarr") == store.version_of(archive)
    assert store.verify_archive(tmp_path / "far.zarr") == []


def test_a_copy_that_is_not_true_is_refused(tmp_path, parts, monkeypatch):
    """A disk that loses a bit on the way."""

    def lossy(source, target):
        Path(target).write_bytes(Path(source).read_bytes()[:-1] + b"?")

    monkeypatch.setattr(arrays, "linked", lambda source, target: False)
    monkeypatch.setattr(arrays.shutil, "copyfile", lossy)
    with pytest.raises(StoreError, match="is no true copy of"):
        store.assemble_archive(tmp_path / "toy.zarr", parts, GRID, CHANNELS, TIMES)


def test_a_full_disk_is_named_with_the_archive(tmp_path, monkeypatch):
    store.create_archive(tmp_path / "a.zarr", GRID, CHANNELS, TIMES, {})

    class Full:
        def __setitem__(self, rows, values):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(arrays, "open_field", lambda *_: Full())
    with pytest.raises(OSError, match=r"No space left.*a\.zarr/geopotential"):
        arrays.write_rows(tmp_path / "a.zarr", "geopotential", 0, STATES[:4, 1:])
