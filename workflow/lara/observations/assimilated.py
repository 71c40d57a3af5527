"""Observation table that an analysis takes, made of the part of reports that is assimilated.

A datum goes in if its status is not rejected and an operator observes its variable: aloft at the levels of the state
alone, near the ground anywhere. Monitored data go in as passive. The others stay behind with a reason (NO_OPERATOR).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lara.observations import table
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, STATION_TYPE, TIME
from lara.observations.flags import Flag
from lara.observations.reports import ALOFT, NEAR_GROUND
from lara.observations.status import Status, Why
from lara.variables import VARIABLES

COLUMN, SURFACE = "column", "surface"  # types of stations of the table
NEAR = 0.5  # Pa: pressures of a level


def observable(reports: pd.DataFrame, levels: Sequence[float]) -> pd.DataFrame:
    """The reports, those that no operator can compare with a state of such levels (hPa) rejected for it."""
    known = reports["variable"].isin(VARIABLES)
    distance = np.abs(reports[PRESSURE].to_numpy()[:, None] - 100.0 * np.asarray(levels, dtype=np.float64)[None])
    at_level = (distance < NEAR).any(axis=1)
    missing = ~(known & (reports["variable"].isin(NEAR_GROUND) | at_level)) & (reports["status"] != Status.REJECT)
    return reports.assign(
        status=reports["status"].mask(missing, int(Status.REJECT)),
        why=reports["why"].mask(missing, int(Why.NO_OPERATOR)),
    )


def assimilated(reports: pd.DataFrame, levels: Sequence[float]) -> pd.DataFrame:
    """The observation table of the reports that are used or monitored, in their order; `levels` are in hPa."""
    rows = observable(reports, levels)
    rows = rows[rows["status"] != Status.REJECT]
    aloft = rows["variable"].isin(ALOFT)
    flag = rows["PreQC"].mask((rows["PreQC"] == Flag.PASS) & (rows["status"] == Status.MONITOR), int(Flag.PASSIVE))
    kept = {name: rows[name] for name in (STATION, "variable", TIME, LATITUDE, LONGITUDE, "ObsValue", "ObsError")}
    made = {
        STATION_TYPE: np.where(aloft, COLUMN, SURFACE),
        PRESSURE: rows[PRESSURE].round().where(aloft),
        "PreQC": flag,
        "withheld": False,
    }
    return table.validate(pd.DataFrame(kept | made))
