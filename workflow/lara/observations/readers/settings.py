"""Settings of the readers of observation files, and the reading and ledger that each gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from lara.observations.status import Policy

MARK_COLUMNS = ["type", "observation", "mark", "count"]


@dataclass(frozen=True)
class Settings:
    """How files are read.

    `temperature` chooses sensible or virtual temperatures where a file has both. Data with a quality mark up to
    `greatest_mark` are good. `errors` are standard errors (SI) by variable for data to which their provider gives
    none: these alone become good by it. A balloon or aircraft further than `drift_degrees` from its report's place, or
    later than `drift_hours` from its file's time, is taken to be at the place or the time of its report (GSI).
    `columns` maps columns of a table of the user's to those of reports; `kind` is the type (NCEP's) of reports in a
    file that names none. `aircraft` says which of an aircraft's reports are used where a cycle has both single ones
    and profiles of them.
    """

    temperature: Literal["sensible", "virtual"] = "sensible"
    greatest_mark: int = 2
    errors: Mapping[str, float] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    drift_degrees: float = 10.0
    drift_hours: float = 4.0
    columns: Mapping[str, str] = field(default_factory=dict)
    kind: int | None = None
    aircraft: Literal["reports", "profiles"] = "reports"


@dataclass(frozen=True)
class Ledger:
    """Counts of what a file held: messages, reports, levels, values by type, observation and mark; and remarks."""

    format: str
    frames: int
    subsets: int
    levels: int
    values: pd.DataFrame  # MARK_COLUMNS; mark −1 where there is none
    remarks: Mapping[str, int] = field(default_factory=dict)

    def count(self, observation: str, greatest_mark: int | None = None) -> int:
        """Values of an observation, of all types, with a mark from 0 up to `greatest_mark` where that is given."""
        own = self.values[self.values["observation"] == observation]
        good = own if greatest_mark is None else own[own["mark"].between(0, greatest_mark)]
        return int(good["count"].sum())


@dataclass(frozen=True)
class Reading:
    """The reports of a file and the counts of what it held."""

    reports: pd.DataFrame
    ledger: Ledger
