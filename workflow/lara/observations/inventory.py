"""Inventory: how many reports of each family came in each cycle, and where fewer came than usual.

A network that loses a family for a day changes the analyses as much as a new satellite does; so cycles in which a
family has less than a share of its median are named, as are families that are missing from all cycles but were asked
for.
"""

from collections.abc import Iterable

import pandas as pd

from lara.observations.reports import CYCLE, REPORT, TYPE
from lara.observations.status import FAMILIES

SHARE = 0.5  # of the median
UNKNOWN = "of no family"


def inventory(reports: pd.DataFrame) -> pd.DataFrame:
    """Reports that have any datum, by cycle (rows) and family (columns), 0 where none came."""
    families = {kind: name for name, family in FAMILIES.items() for kind in family.types}
    family = reports[TYPE].map(families).fillna(UNKNOWN).rename("family")
    counts = reports.groupby([reports[CYCLE], family])[REPORT].nunique()
    return counts.unstack(fill_value=0)


def gaps(counts: pd.DataFrame, wanted: Iterable[str] = (), share: float = SHARE) -> list[str]:
    """A sentence for every cycle and family with less than a share of the family's median, and for what never came."""
    absent = [f"no cycle has reports of {name}" for name in wanted if name not in counts or not counts[name].any()]
    median = counts.median()
    few = counts.lt(share * median)
    found = [
        f"{cycle:%Y-%m-%d %H} UTC has {counts.at[cycle, name]} reports of {name}, where {median[name]:g} are usual"
        for name in counts
        for cycle in counts.index[few[name]]
    ]
    return absent + found
