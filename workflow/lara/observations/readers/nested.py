"""Nested Arrow arrays of a decoded BUFR file: values found by their mnemonic, flattened, with the row they belong to.

earth2bufr names groups by how they repeat and numbers them, so that only mnemonics say which is which.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int64


def path_to(kind: pa.DataType, name: str) -> tuple[str, ...]:
    """Names of the groups around a mnemonic and its own, shallowest first found; empty where there is none."""
    inner = kind.value_type if pa.types.is_list(kind) else kind
    if not pa.types.is_struct(inner):
        return ()
    if inner.get_field_index(name) >= 0:
        return (name,)
    for group in inner:
        found = path_to(group.type, name)
        if found:
            return (group.name, *found)
    return ()


def flattened(array: pa.Array) -> tuple[Int64[np.ndarray, " n"], pa.Array]:
    """The elements of lists one after the other, with the row of each; other arrays as they are."""
    rows = np.arange(len(array))
    while pa.types.is_list(array.type):
        rows, array = np.repeat(rows, np.diff(array.offsets.to_numpy())), array.flatten()
    return rows, array


def gather(array: pa.Array, path: tuple[str, ...]) -> tuple[Int64[np.ndarray, " n"], pa.Array]:
    """Values at the end of a path, with the row of `array` of each."""
    rows, array = flattened(array)
    for name in path:
        inner, array = flattened(array.field(name))
        rows = rows[inner]
    return rows, array


def singles(array: pa.Array, names: tuple[str, ...]) -> dict[str, Float[np.ndarray, " n"]]:
    """A number for each row and mnemonic: the first there is, NaN where there is none or the mnemonic is unknown."""
    groups: dict[tuple[str, ...], list[str]] = {}
    found = {name: np.full(len(array), np.nan) for name in names}
    for name in names:
        path = path_to(array.type, name)
        if path:
            groups.setdefault(path[:-1], []).append(name)
    for path, members in groups.items():
        rows, group = gather(array, path)
        for name in members:
            inner, values = flattened(group.field(name))
            found[name][rows[inner][::-1]] = _numbers(values)[::-1]  # of several the first is written last
    return found


def _numbers(values: pa.Array) -> Float[np.ndarray, " n"]:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


@dataclass(frozen=True)
class Events:
    """Events of an observation, newest first in each row: e events of n rows, each with value, mark and codes."""

    row: Int64[np.ndarray, " e"]
    value: Float[np.ndarray, " e"]
    mark: Float[np.ndarray, " e"]
    program: Float[np.ndarray, " e"]
    reason: Float[np.ndarray, " e"]
    rows: int

    @cached_property
    def newest(self) -> Int64[np.ndarray, " n"]:
        """The newest event of each row, −1 where there is none."""
        return self.first(np.ones(len(self.row), dtype=bool))

    def first(self, eligible: Bool[np.ndarray, " e"]) -> Int64[np.ndarray, " n"]:
        """The newest eligible event of each row, −1 where there is none."""
        found = np.full(self.rows, -1, dtype=np.int64)
        chosen = np.flatnonzero(eligible & np.isfinite(self.value))[::-1]
        found[self.row[chosen]] = chosen
        return found

    def older(self, event: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " e"]:
        """Which events are older than the given one of their row."""
        return (np.arange(len(self.row)) > event[self.row]) & (event[self.row] >= 0)


def events(array: pa.Array, value: str, letter: str) -> Events:
    """The events of the observation `value` in each row; marks and codes are those of NCEP's letter (P, Q, T, Z, W)."""
    path = path_to(array.type, value)
    if not path:
        none = np.zeros(0)
        return Events(none.astype(np.int64), none, none, none, none, len(array))
    names = (value, f"{letter}QM", f"{letter}PC", f"{letter}RC")
    rows, group = gather(array, path[:-1])
    values, mark, program, reason = (_numbers(group.field(name)) for name in names)
    return Events(rows, values, mark, program, reason, len(array))


def taken(values: Float[np.ndarray, " e"], index: Int64[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Values at positions, NaN where the position is −1."""
    return np.append(values, np.nan)[index]
