"""Status: whether a datum is used, only watched, or left alone, by the type of its report, and why.

It is apart from quality control: a monitored datum may be good, a used one may be flagged (`flags`). Types are NCEP's;
`FAMILIES` names every family that LARA knows, so that none disappears unnamed. A type that no family names is
rejected as such.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import pandas as pd


class Status(IntEnum):
    """What is done with a datum."""

    USE = 0
    MONITOR = 1  # compared with the model, not assimilated
    REJECT = 2  # kept in the table, not compared


class Why(IntEnum):
    """The reason of a status."""

    USED = 0
    MONITORED_TYPE = 1
    IGNORED_TYPE = 2
    UNKNOWN_TYPE = 3
    NOMINAL_PRESSURE = 4
    DOUBLED = 5
    PROFILE_TWICE = 6
    RESTRICTED = 7
    BY_CONFIGURATION = 8
    NO_OPERATOR = 9


WORDS = {
    Why.USED: "used",
    Why.MONITORED_TYPE: "its family is monitored",
    Why.IGNORED_TYPE: "its family is ignored",
    Why.UNKNOWN_TYPE: "no family has its type",
    Why.NOMINAL_PRESSURE: "its pressure is nominal",
    Why.DOUBLED: "follows from other data of its report",
    Why.PROFILE_TWICE: "its aircraft's reports are read from another family, too",
    Why.RESTRICTED: "restricted by its provider",
    Why.BY_CONFIGURATION: "its type is not used by configuration",
    Why.NO_OPERATOR: "the state has no level or variable to compare it with",
}


@dataclass(frozen=True)
class Family:
    """A kind of observing system: its types, and what is done with it."""

    types: tuple[int, ...]
    status: Status
    why: Why = Why.USED


def _used(*types: int) -> Family:
    return Family(types, Status.USE)


def _ignored(*types: int) -> Family:
    return Family(types, Status.REJECT, Why.IGNORED_TYPE)


FAMILIES = {
    "sondes": _used(120, 220, 122, 222),
    "pilot balloons": _used(221),
    "dropsondes": _used(132, 232),
    "aircraft": _used(130, 131, 133, 134, 135, 230, 231, 233, 234, 235),
    "ships and buoys": _used(180, 280),
    "land stations": _used(181, 281),
    "METAR": _used(187, 287),
    "stations without pressure": Family(
        (182, 183, 188, 192, 193, 282, 284, 288, 292, 293), Status.MONITOR, Why.NOMINAL_PRESSURE
    ),
    "synthetic": _ignored(110, 111, 112, 210),
    "profilers and radar winds": Family((223, 224, 227, 228, 229), Status.MONITOR, Why.MONITORED_TYPE),
    "satellite winds": _ignored(*range(240, 261)),
    "satellite soundings": _ignored(*range(150, 180)),
    "scatterometer and imager winds": _ignored(283, 285, 286, 289, 290, 291),
    "mesonet": _ignored(195, 295, 194, 294),
}
DOUBLED = ("z",)  # height of a sonde follows from its temperatures


@dataclass(frozen=True)
class Policy:
    """What is done with data: by family, and where `types` (variable, type) says otherwise, by that.

    `restricted` says whether data that their provider restricts may be used.
    """

    families: Mapping[str, Family] = field(default_factory=lambda: FAMILIES)
    types: Mapping[tuple[str, int], Status] = field(default_factory=dict)
    restricted: bool = True


def judged(reports: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """The reports with the status that a policy gives them, and why; restrictions come after all else."""
    group = reports.groupby(["variable", "MetaData/reportType"], sort=False, observed=True)
    answers = np.array([_judge(name, int(kind), policy) for name, kind in group.groups], dtype=np.int8).reshape(-1, 2)
    status, why = answers[group.ngroup().to_numpy()].T
    if not policy.restricted:
        hit = (reports["MetaData/restriction"].to_numpy() > 0) & (status == Status.USE)
        status, why = np.where(hit, Status.REJECT, status), np.where(hit, Why.RESTRICTED, why)
    return reports.assign(status=status.astype(np.int8), why=why.astype(np.int8))


def _judge(variable: str, kind: int, policy: Policy) -> tuple[Status, Why]:
    if (variable, kind) in policy.types:
        status = policy.types[variable, kind]
        return status, Why.USED if status == Status.USE else Why.BY_CONFIGURATION
    family = next((one for one in policy.families.values() if kind in one.types), None)
    if family is None:
        return Status.REJECT, Why.UNKNOWN_TYPE
    if family.status == Status.USE and variable in DOUBLED:
        return Status.MONITOR, Why.DOUBLED
    return family.status, family.why


def without_twice(reports: pd.DataFrame, keep: str) -> pd.DataFrame:
    """The reports, no aircraft used twice where a cycle has profiles (types 3xx to 5xx) and single reports.

    `keep` is "profiles" or "reports": the others of that cycle are rejected.
    """
    aircraft = reports["MetaData/reportType"] % 100
    own = (aircraft >= 30) & (aircraft <= 35)
    profile = own & reports["MetaData/sourceType"].between(300, 599)
    single = own & ~profile
    cycle = reports["MetaData/cycle"]
    both = cycle.isin(cycle[profile]) & cycle.isin(cycle[single])
    drop = both & (single if keep == "profiles" else profile)
    return reports.assign(
        status=reports["status"].mask(drop, int(Status.REJECT)), why=reports["why"].mask(drop, int(Why.PROFILE_TWICE))
    )
