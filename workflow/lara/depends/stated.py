"""Stated values of a section: those that differ from the first default of their key, as JSON.

Digests, attributes and Snakemake's parameters hold these. So a new key at its default changes none of them: results
made before the key was there stay what they are. The *first* default of a key is the value that acts as if the key did
not exist. A default that is changed later names the first one, `Field(4, json_schema_extra={"first_default": 16})`, and
is stated from then on, so that results of the old default are made again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from lara.config import Section

_FIRST = "first_default"


def stated(section: Section, exclude: Collection[str] = ()) -> dict[str, Any]:
    """Values of a section by key, as JSON; a section within it is there even where it states nothing."""
    plain, fields = section.model_dump(mode="json"), type(section).model_fields
    chosen = {key: getattr(section, key) for key in fields if key not in exclude}
    return {key: _told(value, plain[key]) for key, value in chosen.items() if _is_stated(value, fields[key])}


def first_default(field: FieldInfo) -> Any:
    """The value of a field that acts as if its key did not exist; PydanticUndefined where a value must be given."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and _FIRST in extra:
        return extra[_FIRST]
    return field.get_default(call_default_factory=True)


def _is_stated(value: Any, field: FieldInfo) -> bool:
    """Whether a value says more than its absence: one that tells kinds of sections apart always does."""
    tells_apart = get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
    return tells_apart or isinstance(value, Section) or bool(value != first_default(field))


def _told(value: Any, plain: Any) -> Any:
    """A value as JSON, `plain` before sections in it are reduced to what they state."""
    if isinstance(value, Section):
        return stated(value)
    if isinstance(value, Mapping):
        return {str(key): _told(one, plain[str(key)]) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_told(one, other) for one, other in zip(value, plain, strict=True)]
    return plain
