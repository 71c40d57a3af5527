"""Configurations to be spoiled by a test, and the one line that each is refused with."""

import copy

import pytest

from lara.config import ConfigError, parse
from repository import REPOSITORY

CONFIGS = REPOSITORY / "config"


def change(values, key, value):
    """Values with one dotted key set, its sections made where absent."""
    changed = copy.deepcopy(values)
    *path, last = key.split(".")
    section = changed
    for part in path:
        section = section.setdefault(part, {})
    section[last] = value
    return changed


def refusal(values):
    """The message a configuration is refused with: one line."""
    with pytest.raises(ConfigError) as caught:
        parse(values)
    message = str(caught.value)
    assert "\n" not in message
    return message
