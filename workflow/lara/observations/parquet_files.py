"""Parquet files of observations: written whole with a receipt beside them, and compared with it when they are read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from lara import receipts


def write(parts: Iterable[pd.DataFrame], columns: Mapping[str, str], path: Path) -> None:
    """Write tables of these columns in their order as one file, whole or not at all; each becomes a row group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    empty = pd.DataFrame(columns=list(columns)).astype(dict(columns))
    schema = pa.Schema.from_pandas(empty, preserve_index=False)
    with parquet.ParquetWriter(partial, schema) as writer:
        for part in parts:
            writer.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))
    receipts.put(partial, path)


def read(path: Path, limits: Sequence[tuple[str, str, np.datetime64]]) -> pd.DataFrame:
    """Rows of a file within limits (column, sign, time). FileNotFoundError, or ValueError naming a damaged file."""
    _require_whole(path)
    filters = [(column, sign, pd.Timestamp(limit)) for column, sign, limit in limits]
    with _naming(path):
        return pd.read_parquet(path, filters=filters or None)


def row_groups(path: Path) -> Iterator[pd.DataFrame]:
    """Row groups of a file, one in memory at a time; none of an empty one. Errors as of `read`."""
    _require_whole(path)
    for number in range(_count(path)):
        with _naming(path), parquet.ParquetFile(path) as file:
            part = file.read_row_group(number).to_pandas()
        yield part


def prove(path: Path) -> None:
    """Compare a file with its receipt, and read all of it. Errors as of `read`."""
    _require_there(path)
    receipts.require_whole(path)
    with _naming(path), parquet.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            file.read_row_group(number)


def _count(path: Path) -> int:
    with _naming(path), parquet.ParquetFile(path) as file:
        return int(file.num_row_groups)


def _require_there(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(
            f"no observation file {path}: run `lara simulate-observations` and `lara screen-observations`, or snakemake"
        )


def _require_whole(path: Path) -> None:
    """Compare a file with its receipt, once as long as it stays as it is: it is read stretch by stretch."""
    _require_there(path)
    state = path.stat()
    _compare(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _compare(path: Path, size: int, modified: int) -> None:
    receipts.require_whole(path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Names a file that is no parquet, or damaged, in what reading it raises."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} is not a readable parquet file ({error}): remove it and rerun the rule that made it"
        ) from error
