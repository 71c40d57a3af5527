"""Versions of an archive: a corrected part makes a new one, whoever reads the old one goes on reading it."""

import os

import numpy as np
import pytest

import worlds
from damage import flip, shard
from lara import store
from lara.store import StoreError
from lara.store.versions import current, receipt_of
from toy_archives import CHANNELS, DAYS, GRID, STATES, TIMES, sealed_parts, write_part

FIELDS = [name + kind for name in ("geopotential", "mean_sea_level_pressure") for kind in ("", "_background")]


@pytest.fixture
def parts(tmp_path):
    """Three days, sealed each."""
    return sealed_parts(tmp_path / "chunks")


@pytest.fixture
def archive(tmp_path, parts):
    path = tmp_path / "toy.zarr"
    store.assemble_archive(path, parts, GRID, CHANNELS, TIMES)
    return path


def correct(archive, parts, day=1):
    """The archive with one day made again, one larger."""
    write_part(parts[day], day, STATES + 1)
    store.assemble_archive(archive, parts, GRID, CHANNELS, TIMES)


def values(dataset):
    return dataset["geopotential"].values


def test_a_corrected_part_makes_a_new_version_and_a_reader_keeps_the_old(archive, parts):
    """Opened before the correction and read after it: every byte is of the old version."""
    with store.open_archive(archive) as reader:
        before = store.version_of(archive)
        correct(archive, parts)
        assert store.version_of(archive) != before
        assert np.array_equal(values(reader), STATES[:, 1:])
    with store.open_archive(archive) as fresh:
        expected = STATES[:, 1:].copy()
        expected[DAYS[1]] += 1
        assert np.array_equal(values(fresh), expected)
    new, old = store.versions_of(archive)
    assert store.verify_archive(archive) == store.verify_archive(old) == [] and old.stem == before
    assert new == current(archive)


def test_versions_share_every_file_that_is_the_same(archive, parts):
    """Times of the corrected day are files of their own; all others, coordinates too, are one file in both."""
    correct(archive, parts)
    new, old = store.versions_of(archive)
    names = {file.relative_to(new) for file in new.rglob("*") if file.is_file()}
    different = {str(name) for name in names if not (new / name).samefile(old / name)}
    times = range(DAYS[1].start, DAYS[1].stop)
    assert different == {str(shard(new, time, field).relative_to(new)) for field in FIELDS for time in times}


def test_a_part_made_again_with_the_same_result_shares_its_files_too(archive, parts):
    """Jobs after a corrected one are cycled again, and where they come to the same nothing more is kept."""
    write_part(parts[2], 2, STATES)
    correct(archive, parts)
    new, old = store.versions_of(archive)
    assert shard(new, 8, "geopotential").samefile(shard(old, 8, "geopotential"))


def test_the_same_content_is_the_same_version(archive, parts):
    before = current(archive)
    store.assemble_archive(archive, parts, GRID, CHANNELS, TIMES)
    assert current(archive) == before and store.versions_of(archive) == [before]
    correct(archive, parts)
    write_part(parts[1], 1, STATES)
    store.assemble_archive(archive, parts, GRID, CHANNELS, TIMES)
    assert current(archive) == before and len(store.versions_of(archive)) == 2


def test_a_version_that_was_damaged_is_made_again_from_whole_parts(archive, parts):
    """Its shard is a file of a part too, which is made again: the damage is in neither afterwards."""
    flip(shard(archive, 4, "geopotential"), 50)
    assert str(shard(current(archive), 4, "geopotential")) in store.verify_archive(archive)[0]
    with pytest.raises(StoreError, match=r"1\.zarr"):
        store.assemble_archive(archive, parts, GRID, CHANNELS, TIMES)
    write_part(parts[1], 1, STATES)
    store.assemble_archive(archive, parts, GRID, CHANNELS, TIMES)
    assert store.verify_archive(archive) == []


def test_a_seal_that_fails_leaves_the_name_where_it_was(archive, parts):
    before = store.version_of(archive)
    with pytest.raises(StoreError, match="no part holds 2000-02-28"):
        store.assemble_archive(archive, [parts[0], parts[2]], GRID, CHANNELS, TIMES)
    assert store.version_of(archive) == before and store.verify_archive(archive) == []


def test_a_version_is_never_written_and_a_name_is_discarded_without_it(archive):
    """An experiment that was in streams becomes one job: it writes a store of its own."""
    version = current(archive)
    with pytest.raises(StoreError, match="sealed version"):
        store.create_archive(archive, GRID, CHANNELS, TIMES, {"title": "toy"})
    store.discard_archive(archive)
    assert not os.path.lexists(archive) and store.verify_archive(version) == []


def test_a_receipt_of_another_version_is_found(archive, parts):
    old = receipt_of(archive).read_bytes()
    correct(archive, parts)
    receipt_of(archive).write_bytes(old)
    (problem,) = store.verify_archive(archive)
    assert str(receipt_of(archive)) in problem


def test_old_versions_are_pruned_by_command_and_not_before(world, tmp_path, capsys):
    """Each is verified as long as it is kept."""
    streams = {"only": {"begin": "2001-01-02", "end": "2001-01-07", "chunk_days": 2}}
    run = worlds.copied(world, tmp_path / "w", worlds.changed("production", {"streams": {"free": streams}}))
    archive, chunks = run.layout.archive("free"), run.config.production.chunks("free")
    for chunk in chunks:
        assert worlds.lara(run.layout.root, f"cycle-chunk --chunk free/only/{chunk.name}") == 0
    assert worlds.lara(run.layout.root, "seal-archive --experiment free") == 0
    part = run.layout.chunk("free", "only", chunks[1].name).archive
    store.write_archive(part, 0, **{kind: np.ones((8, 6, 8, 16), np.float32) for kind in ("analysis", "background")})
    store.seal_archive(part)
    assert worlds.lara(run.layout.root, "seal-archive --experiment free") == 0
    _, old = store.versions_of(archive)
    assert worlds.lara(run.layout.root, "verify-archive --experiment free") == 0
    (shard(old, 0, "geopotential")).unlink()
    capsys.readouterr()
    assert worlds.lara(run.layout.root, "verify-archive --experiment free") == 2
    assert str(old) in capsys.readouterr().err
    assert worlds.lara(run.layout.root, "prune-archive --experiment free") == 0
    assert store.versions_of(archive) == [current(archive)] and not old.exists()
    assert worlds.lara(run.layout.root, "verify-archive --experiment free") == 0
