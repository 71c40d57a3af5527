"""Attributes of an archive: those that tell what it is, and those added when it is sealed, which parts may differ in.

Only the first are compared where an archive is gone on with or made of parts; the others, listed in one of them, say
whose it is and what it was made with. Names and values of all are such as NetCDF can hold, classic or not.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lara.store import arrays
from lara.store.arrays import StoreError

MADE_WITH = "made_with_"  # begin of the names of attributes whose values in all parts an archive states
AND = "; "  # between these values
_ADDED = "added_when_sealed"  # attribute: names of those added


def portable(name: str) -> str:
    """Name of an attribute of letters, digits and "_", as CF asks for."""
    return re.sub(r"\W+", "_", name, flags=re.ASCII)


def all_portable(attributes: Mapping[str, Any]) -> dict[str, str | float]:
    """Attributes as an archive has them; what is no text or number as JSON."""
    names = {key: portable(key) for key in attributes}
    if len(set(names.values())) < len(names):
        raise ValueError(f"attributes {sorted(names)} would share names in an archive: choose others")
    return {names[key]: _plain(value) for key, value in attributes.items()}


def identifying(path: Path) -> dict[str, Any]:
    """Attributes that tell what an archive is: all but those added."""
    found = arrays.read_attributes(path)
    return {key: value for key, value in found.items() if key not in (_ADDED, *found.get(_ADDED, "").split())}


def added(path: Path) -> dict[str, Any]:
    """Attributes that were added when an archive was sealed."""
    found = arrays.read_attributes(path)
    return {key: found[key] for key in found.get(_ADDED, "").split()}


def add(path: Path, attributes: Mapping[str, Any]) -> None:
    """Add attributes (JSON-able) in place of those added before. StoreError for a name that the archive has already."""
    own, new = identifying(path), all_portable(attributes)
    if taken := sorted(own.keys() & new.keys()):
        raise StoreError(f"{path} has attributes {', '.join(taken)} of its own: choose other names for what is added")
    arrays.write_attributes(path, own | new | {_ADDED: " ".join(new)})


def drop_added(path: Path) -> None:
    """Leave an archive those attributes alone that tell what it is."""
    if _ADDED in arrays.read_attributes(path):
        arrays.write_attributes(path, identifying(path))


def made_with(parts: Sequence[Path]) -> dict[str, str]:
    """What archives were made with: every value that occurs in any, in their order."""
    found: dict[str, dict[str, None]] = {}
    for part in parts:
        for key, values in added(part).items():
            if key.startswith(MADE_WITH):
                found.setdefault(key, {}).update(dict.fromkeys(values.split(AND)))
    return {key: AND.join(values) for key, values in found.items()}


def _plain(value: Any) -> str | float:
    keeps = isinstance(value, str | int | float) and not isinstance(value, bool)
    return value if keeps else json.dumps(value, sort_keys=True)
