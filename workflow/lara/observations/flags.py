"""Flags: what became of an observation, in numbers and in words.

The numbers are those of JEDI's Unified Forward Operator (JCSDA/ufo, src/ufo/filters/QCflags.h).
"""

from enum import IntEnum


class Flag(IntEnum):
    """What became of a datum. Numbers below 100 are those of UFO, greater ones have no counterpart there."""

    PASS = 0
    PASSIVE = 1
    MISSING = 10
    PREQC = 11
    BOUNDS = 12
    BLACK = 14
    THINNED = 16
    FGUESS = 19
    SUPEROB = 31
    DUPLICATE = 101
    CONFLICT = 102
    USED_BEFORE = 103
    IMPLAUSIBLE = 104
    NO_ERROR = 105
    LEVEL = 106

    @property
    def reason(self) -> str:
        """The flag in words, as in feedback and reports."""
        return REASONS[self]


REASONS = {
    Flag.PASS: "used",
    Flag.PASSIVE: "passive: compared, not assimilated",
    Flag.MISSING: "value or error missing",
    Flag.PREQC: "rejected by its provider",
    Flag.BOUNDS: "too far from climatology",
    Flag.BLACK: "blacklisted",
    Flag.THINNED: "thinned",
    Flag.FGUESS: "too far from the background",
    Flag.SUPEROB: "averaged into a superobservation",
    Flag.DUPLICATE: "repeats an earlier row",
    Flag.CONFLICT: "contradicts an earlier row of the same site, time and level",
    Flag.USED_BEFORE: "used by an earlier window",
    Flag.IMPLAUSIBLE: "beyond what the atmosphere does",
    Flag.NO_ERROR: "its provider assigns it no error",
    Flag.LEVEL: "the pressure of its level is rejected by its provider",
}
