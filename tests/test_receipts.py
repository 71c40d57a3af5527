"""Receipts are whole or absent, repeatable, and find damaged files."""

import hashlib
import os
from pathlib import Path

import pytest

from lara import receipts


def test_digest_is_the_head_of_sha256_for_bytes_and_files(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    expected = hashlib.sha256(b"abc").hexdigest()[:16]
    assert receipts.digest(b"abc") == receipts.digest(tmp_path / "file") == expected


def test_digest_of_objects_ignores_key_order_and_nothing_else():
    assert receipts.digest({"a": 1, "b": [1, 2]}) == receipts.digest({"b": [1, 2], "a": 1})
    assert receipts.digest({"a": 1}) != receipts.digest({"a": 1.5})
    assert receipts.digest([1, 2]) != receipts.digest([2, 1])


def test_what_json_cannot_say_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        receipts.write(tmp_path / "r.json", loss=float("nan"))
    with pytest.raises(TypeError):
        receipts.write(tmp_path / "r.json", when=object())
    assert list(tmp_path.iterdir()) == []


def test_a_receipt_reads_back_and_writing_it_again_gives_the_same_bytes(tmp_path):
    path = tmp_path / "new" / "r.json"
    receipts.write(path, count=3, name="z₀")
    first = path.read_bytes()
    receipts.write(path, name="z₀", count=3)
    assert path.read_bytes() == first
    assert receipts.read(path) == {"count": 3, "name": "z₀"}


def test_file_and_folder_are_flushed_to_disk(tmp_path, monkeypatch):
    flushed, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (flushed.append(os.path.realpath(f"/proc/self/fd/{fd}")), fsync(fd)))
    receipts.write(tmp_path / "r.json", count=1)
    assert Path(flushed[0]).name.startswith(".r.json.") and Path(flushed[-1]) == tmp_path.resolve()


def test_a_failed_write_leaves_the_old_receipt_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    receipts.write(path, count=1)

    def full(fd):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        receipts.write(path, count=2)
    assert receipts.read(path) == {"count": 1} and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content, message", [(None, "no receipt"), (b'{"a": 1', "cannot be read"), (b"[1]", "not a JSON object")]
)
def test_an_absent_or_broken_receipt_is_an_error_that_names_it(tmp_path, content, message):
    path = tmp_path / "r.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(receipts.ReceiptError, match=f"{message}.*rerun") as caught:
        receipts.read(path)
    assert str(path) in str(caught.value)


def test_missing_resized_and_changed_files_are_found(tmp_path):
    files = [tmp_path / name for name in ("missing", "resized", "changed", "whole")]
    for file in files:
        file.write_bytes(b"12345")
    described = receipts.describe(files, tmp_path)
    files[0].unlink()
    files[1].write_bytes(b"1234")
    files[2].write_bytes(b"12346")
    assert [text.split(" ", 1)[1] for text in receipts.problems(described, tmp_path)] == [
        "is missing",
        "has 4 bytes instead of 5",
        "has changed since its receipt was written",
    ]
    assert len(receipts.problems(described, tmp_path, content=False)) == 2
