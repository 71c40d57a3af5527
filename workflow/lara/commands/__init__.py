"""The commands of `lara`, one per rule: each reads, calls one function, and writes; `estimate` needs no run."""

from lara.commands import estimating, judging, making
from lara.commands.offer import COMMANDS

__all__ = ["COMMANDS", "estimating", "judging", "making"]
