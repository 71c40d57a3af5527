"""Datasets of states and archives of analyses on disk. Only here is Zarr known, and here to `arrays` and `template`."""

from lara.store.archive import (
    create_archive,
    discard_archive,
    failed_times,
    open_archive,
    require_written,
    restore_archive,
    seal_archive,
    verify_archive,
    write_archive,
)
from lara.store.arrays import StoreError
from lara.store.assembly import OBSERVED, assemble_archive
from lara.store.attributes import AND, MADE_WITH, portable
from lara.store.attributes import added as added_attributes
from lara.store.means import MonthMean, write_means
from lara.store.npz import read_arrays
from lara.store.sealing import content_digest, discard, link, seal, write_block
from lara.store.states import StateStore, create, open_state
from lara.store.versions import prune, version_of, versions_of

__all__ = [
    "AND",
    "MADE_WITH",
    "OBSERVED",
    "MonthMean",
    "StateStore",
    "StoreError",
    "added_attributes",
    "assemble_archive",
    "content_digest",
    "create",
    "create_archive",
    "discard",
    "discard_archive",
    "failed_times",
    "link",
    "open_archive",
    "open_state",
    "portable",
    "prune",
    "read_arrays",
    "require_written",
    "restore_archive",
    "seal",
    "seal_archive",
    "verify_archive",
    "version_of",
    "versions_of",
    "write_archive",
    "write_block",
    "write_means",
]
