"""Variables of PrepBUFR levels in SI units, with what their marks mean.

    q error = RH error · q_s(T, p)    where T is the observed sensible temperature, or else the background's

Mark 9 of PREVENT (program 4) with reason 3 says that GDAS has no error for a datum, not that it is bad; such a datum
is NO_ERROR where the mark beneath is good. A temperature is sensible where its event is not of VIRTMP (program 8).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Int64

from lara.observations import humidity
from lara.observations.flags import Flag
from lara.observations.readers.nested import Events, taken
from lara.observations.readers.prepbufr_levels import Levels
from lara.observations.readers.settings import Settings
from lara.observations.reports import AT_GROUND, FREEZING, GRAVITY

PREVENT, VIRTMP = 4, 8  # programs
NO_ERROR_REASON, NO_ERROR_MARK = 3, 9
HECTOPASCAL, MILLIGRAM = 100.0, 1e-6  # Pa; kg/kg of a mg/kg
GROUND, WIND_BY_HEIGHT = 0, 4  # categories of a level
Numbers = Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Datum:
    """A variable at every level: value, error and background in SI, mark and codes, and its flag by them.

    The value is NaN where it is not observed, the error where none is given.
    """

    name: str
    value: Numbers
    error: Numbers
    background: Numbers
    mark: Numbers
    program: Numbers
    reason: Numbers
    flag: Int64[np.ndarray, " n"]

    def where(self, own: Bool[np.ndarray, " n"], name: str | None = None) -> Self:
        """The same at some levels alone, under another name where one is given."""
        return replace(self, value=np.where(own, self.value, np.nan), name=name or self.name)


def data(levels: Levels, settings: Settings) -> Iterator[Datum]:
    """Every variable of the levels, near the ground under the names it has there."""
    kind, category, beside = levels.of_report("TYP"), levels.beside["CAT"], levels.beside
    none = np.full(len(kind), np.nan)
    ps = _datum("ps", levels.observed["POB"], settings, HECTOPASCAL)
    ps = replace(ps, error=HECTOPASCAL * beside["POE"], background=HECTOPASCAL * beside["PFC"])
    yield ps.where((category == GROUND) & (kind < 200))
    sea = Events(np.arange(len(kind)), beside["PMO"], beside["PMQ"], none, none, len(kind))
    yield _datum("msl", sea, settings, HECTOPASCAL)
    for datum in (*_temperatures(levels, settings), _humidity(levels, settings), *_winds(levels, settings)):
        yield datum.where(~near_ground(levels))
        yield datum.where(near_ground(levels), AT_GROUND[datum.name])
    z = replace(_datum("z", levels.observed["ZOB"], settings, GRAVITY), background=GRAVITY * beside["ZFC"])
    yield z.where(((kind // 10 == 12) | (kind == 132)) & (category != WIND_BY_HEIGHT))


def near_ground(levels: Levels) -> Bool[np.ndarray, " n"]:
    """Levels of reports of surface stations, ships and buoys (types 18x, 19x, 28x, 29x)."""
    return levels.of_report("TYP") % 100 >= 80


def flags(stack: Events, chosen: Int64[np.ndarray, " n"], settings: Settings) -> Int64[np.ndarray, " n"]:
    """PASS, PREQC or NO_ERROR by the mark of the chosen event and what lies beneath; an absent mark is not checked."""
    mark = taken(stack.mark, chosen)
    judge = stack.program != VIRTMP  # whose marks are of the sensible value
    objection = stack.first(judge)
    before = taken(stack.mark, stack.first(judge & stack.older(objection)))
    missing = (mark == NO_ERROR_MARK) & (taken(stack.mark, objection) == NO_ERROR_MARK)
    missing &= (taken(stack.program, objection) == PREVENT) & (taken(stack.reason, objection) == NO_ERROR_REASON)
    missing &= ~(before > settings.greatest_mark)
    return np.select([missing, mark > settings.greatest_mark], [Flag.NO_ERROR, Flag.PREQC], Flag.PASS).astype(np.int64)


def _datum(
    name: str, stack: Events, settings: Settings, factor: float, offset: float = 0.0, chosen: np.ndarray | None = None
) -> Datum:
    """An observation's chosen events, or newest ones, brought to SI; without error and background."""
    chosen = stack.newest if chosen is None else chosen
    none = np.full(stack.rows, np.nan)
    mark, program, reason = (taken(field, chosen) for field in (stack.mark, stack.program, stack.reason))
    value = factor * taken(stack.value, chosen) + offset
    return Datum(name, value, none, none, mark, program, reason, flags(stack, chosen, settings))


def _temperatures(levels: Levels, settings: Settings) -> Iterator[Datum]:
    """Sensible temperatures; or the newest, those that are virtual under a name of their own."""
    stack, beside = levels.observed["TOB"], levels.beside
    top = stack.newest
    is_virtual = taken(stack.program, top) == VIRTMP
    background = beside["TFC"] + FREEZING
    if settings.temperature == "virtual":
        own = _datum("t", stack, settings, 1.0, FREEZING, top)
        own = replace(own, error=beside["TOE"], background=background)
        yield own.where(~is_virtual)
        yield own.where(is_virtual, "tv")
        return
    own = _datum("t", stack, settings, 1.0, FREEZING, stack.first(stack.program != VIRTMP))
    moist = humidity.sensible(background, MILLIGRAM * beside["QFC"])
    yield replace(own, error=beside["TOE"], background=np.where(is_virtual, moist, background))


def _humidity(levels: Levels, settings: Settings) -> Datum:
    stack, beside = levels.observed["TOB"], levels.beside
    background = humidity.sensible(beside["TFC"] + FREEZING, MILLIGRAM * np.nan_to_num(beside["QFC"]))
    observed = taken(stack.value, stack.first(stack.program != VIRTMP)) + FREEZING
    temperature = np.where(np.isfinite(observed), observed, background)
    share = beside["QOE"] / 10  # of saturation
    return replace(
        _datum("q", levels.observed["QOB"], settings, MILLIGRAM),
        error=share * humidity.saturation(temperature, pressure(levels)),
        background=MILLIGRAM * beside["QFC"],
    )


def _winds(levels: Levels, settings: Settings) -> Iterator[Datum]:
    for name, value, background in (("u", "UOB", "UFC"), ("v", "VOB", "VFC")):
        own = _datum(name, levels.observed[value], settings, 1.0)
        yield replace(own, error=levels.beside["WOE"], background=levels.beside[background])


def pressure(levels: Levels) -> Numbers:
    """Pressure of every level, Pa; NaN where it is not positive, as some that NCEP rejects are not."""
    stack = levels.observed["POB"]
    value = HECTOPASCAL * taken(stack.value, stack.newest)
    return np.where(value > 0, value, np.nan)
