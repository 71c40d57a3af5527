"""Statistics and B read back from .npz: whole, or refused with the name of the file."""

import numpy as np
import pytest

from lara.store import StoreError, read_arrays


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, variance=np.arange(500.0), names=np.array(["z500", "msl"]))
    return path


def test_what_was_written_is_read(file):
    found = read_arrays(file)
    assert found["variance"].tolist() == list(range(500)) and found["names"].tolist() == ["z500", "msl"]


DAMAGE = {
    "empty": lambda raw: b"",
    "halved": lambda raw: raw[: len(raw) // 2],
    "cut by a byte": lambda raw: raw[:-1],
    "text": lambda raw: b"<html>no</html>",
    "zeroed tail": lambda raw: raw[:-200] + bytes(200),
    "a zeroed block": lambda raw: raw[:1000] + bytes(64) + raw[1064:],
    "a flipped bit": lambda raw: raw[:900] + bytes([raw[900] ^ 1]) + raw[901:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_with_the_remedy(file, damage):
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    with pytest.raises(StoreError, match=r"model\.npz is damaged .*: delete it and rerun the rule that makes it"):
        read_arrays(file)
