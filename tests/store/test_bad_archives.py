"""Bad archives: `lara verify-archive` ends with status 2 and names the file, whatever is wrong with it."""

import json
import os
import shutil

import pytest

import worlds
from damage import flip, shard
from lara import receipts, store


@pytest.fixture(scope="module")
def others(world, tmp_path_factory):
    """The control run as it is, and one of another seed of observations: archives of the same shape."""
    found = []
    for name, values in (("one", worlds.VALUES), ("other", worlds.changed("seed", 5))):
        run = worlds.copied(world, tmp_path_factory.mktemp("archives") / name, values)
        for experiment in ("free", "autoencoder-only"):
            assert worlds.lara(run.layout.root, f"cycle-experiment --experiment {experiment}") == 0
        found.append(run)
    return found


@pytest.fixture
def run(others, tmp_path):
    """A copy that may be broken, whole so far."""
    copy = worlds.copied(others[0], tmp_path / "w")
    assert store.verify_archive(copy.layout.archive("free")) == []
    return copy


def a_missing_month(run, other):
    """Shards of a day gone from the disk."""
    file = shard(run.layout.archive("free"), 1, "geopotential")
    file.unlink()
    return file


def a_month_missing_from_the_receipt_too(run, other):
    """As a seal would leave it that did not look: files, receipt and digest agree, and a day is not there."""
    file, receipt = shard(run.layout.archive("free"), 1, "geopotential"), run.layout.archive_receipt("free")
    content = json.loads(receipt.read_text())
    del content["files"][file.relative_to(run.layout.archive("free")).as_posix()]
    file.unlink()
    receipts.write(receipt, **{**content, "digest": receipts.digest(content["files"])})
    return file


def a_truncated_shard(run, other):
    file = shard(run.layout.archive("free"), 2, "temperature")
    os.truncate(file, file.stat().st_size - 5)
    return file


def an_edited_chunk(run, other):
    file = shard(run.layout.archive("free"), 0, "temperature_background")
    flip(file, 50)
    return file


def a_chunk_edited_with_its_checksum(run, other):
    """The whole shard of another time: each CRC is right."""
    file = shard(run.layout.archive("free"), 0, "geopotential")
    shutil.copy(shard(run.layout.archive("free"), 1, "geopotential"), file)
    return file


def a_wrong_checksum_in_the_receipt(run, other):
    receipt = run.layout.archive_receipt("free")
    content = json.loads(receipt.read_text())
    name = next(iter(content["files"]))
    content["files"][name][1] = "0" * 16
    receipt.write_text(json.dumps(content))
    return receipt


def a_shard_of_another_run(run, other):
    """Same shape, same time, another experiment: mixed versions."""
    file = shard(run.layout.archive("free"), 1, "geopotential")
    shutil.copy(shard(other.layout.archive("autoencoder-only"), 1, "geopotential"), file)
    return file


def a_foreign_receipt(run, other):
    """Every file that differs is named, the root with its provenance first among them."""
    shutil.copy(other.layout.archive_receipt("autoencoder-only"), run.layout.archive_receipt("free"))
    return run.layout.archive("free") / "zarr.json"


def a_receipt_of_something_else(run, other):
    """The receipt of a whole dataset has a digest and no files."""
    receipts.write(run.layout.archive_receipt("free"), dataset="test", count=32, content="0" * 16)
    return run.layout.archive_receipt("free")


def a_torn_receipt(run, other):
    receipt = run.layout.archive_receipt("free")
    receipt.write_bytes(receipt.read_bytes()[:200])
    return receipt


def no_receipt(run, other):
    run.layout.archive_receipt("free").unlink()
    return run.layout.archive_receipt("free")


def an_extra_file(run, other):
    file = run.layout.archive("free") / "geopotential" / "c.99.0.0.0"
    shutil.copy(shard(run.layout.archive("free"), 1, "geopotential"), file)
    return file


def edited_metadata(run, other):
    """Units changed in the description of a variable."""
    file = run.layout.archive("free") / "geopotential" / "zarr.json"
    file.write_text(file.read_text().replace("m2 s-2", "m4 s-2"))
    return file


def no_archive(run, other):
    store.discard_archive(run.layout.archive("free"))
    return run.layout.archive("free")


HARMS = [
    a_missing_month,
    a_month_missing_from_the_receipt_too,
    a_truncated_shard,
    an_edited_chunk,
    a_chunk_edited_with_its_checksum,
    a_wrong_checksum_in_the_receipt,
    a_shard_of_another_run,
    a_foreign_receipt,
    a_receipt_of_something_else,
    a_torn_receipt,
    no_receipt,
    an_extra_file,
    edited_metadata,
    no_archive,
]


@pytest.mark.parametrize("harm", HARMS, ids=[harm.__name__ for harm in HARMS])
def test_it_is_found_and_its_file_named(run, others, capsys, harm):
    file = harm(run, others[1])
    capsys.readouterr()
    assert worlds.lara(run.layout.root, "verify-archive --experiment free") == 2
    line = capsys.readouterr().err
    assert str(file) in line and line.count("\n") == 1
