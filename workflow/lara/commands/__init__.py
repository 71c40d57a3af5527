"""The commands of `lara`, one per rule: each reads, calls one function, and writes."""

from lara.commands import judging, making
from lara.commands.offer import COMMANDS

__all__ = ["COMMANDS", "judging", "making"]
