"""Arrays that another job reads back: an .npz file, whose members carry checksums, whole or refused by name."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from lara.store.arrays import RERUN, StoreError

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, OSError, NotImplementedError)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of a file. Raises StoreError naming it where it is empty, cut off or changed."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except (*_BROKEN, AttributeError) as fault:  # a bare array or text is no archive
        raise StoreError(f"{path} is damaged ({fault}): delete it and {RERUN}") from fault
