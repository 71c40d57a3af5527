"""Departures of observations from background and analysis, from the feedback tables.

O-B is the innovation y - H(x_b), O-A the residual y - H(x_a) (Desroziers et al. 2005, doi:10.1256/qj.05.108).
For data withheld from the analysis (passive) both are independent tests: rms(O-A) < rms(O-B) there means that
the analysis gained.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from lara.observations.flags import Flag
from lara.observations.table import PRESSURE, TIME
from lara.state import Channel

GROUPS = ["variable", "level", "withheld"]
DAILY = ["day", "variable", "pressure"]
SURFACE = 0.0  # for a pressure, since NaN is no label
STATISTICS = ["n", "ombg_mean", "ombg_rms", "oman_mean", "oman_rms"]


def by_level(feedback: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """n, mean and rms of ombg and oman (SI) by variable, level (hPa, NaN at the surface) and withheld.

    `feedback` in parts that are held one at a time.
    """
    sums = pd.concat([_sums(part) for part in feedback]).groupby(GROUPS, dropna=False).sum()
    found = sums.div(sums["n"], axis=0).assign(n=sums["n"])
    found[["ombg_rms", "oman_rms"]] = np.sqrt(found[["ombg_rms", "oman_rms"]])
    return found.reset_index()[[*GROUPS, *STATISTICS]]


def _sums(feedback: pd.DataFrame) -> pd.DataFrame:
    """Count and sums of departures and their squares by GROUPS."""
    kept = feedback[feedback["EffectiveQC"].isin([Flag.PASS, Flag.PASSIVE]) & feedback["ombg"].notna()]
    rows = pd.DataFrame(
        {
            "variable": kept["variable"],
            "level": kept[PRESSURE] / 100.0,
            "withheld": kept["withheld"],
            "n": 1,
            "ombg_mean": kept["ombg"],
            "oman_mean": kept["oman"],
            "ombg_rms": kept["ombg"] ** 2,
            "oman_rms": kept["oman"] ** 2,
        }
    )
    return rows.groupby(GROUPS, dropna=False).sum()


def withheld_daily(feedback: Iterable[pd.DataFrame], channels: Sequence[Channel]) -> xr.DataArray:
    """Rms of withheld observations less analyses (time, channel) day by day, SI; NaN on days without any.

    `feedback` in parts that are held one at a time.
    """
    sums = pd.concat([_daily(part) for part in feedback]).groupby(DAILY, dropna=False).sum()
    rms = np.sqrt(sums["square"] / sums["n"]).unstack("day").T
    columns = [(channel.variable, SURFACE if channel.level is None else 100.0 * channel.level) for channel in channels]
    table = rms.reindex(columns=pd.MultiIndex.from_tuples(columns, names=DAILY[1:])).dropna(how="all")
    names = [channel.name for channel in channels]
    return xr.DataArray(table.to_numpy(), {"time": table.index.to_numpy(), "channel": names}, ("time", "channel"))


def _daily(feedback: pd.DataFrame) -> pd.DataFrame:
    """Count and sum of squares of withheld data less analyses, by DAILY."""
    kept = feedback[feedback["withheld"] & (feedback["EffectiveQC"] == Flag.PASSIVE) & feedback["oman"].notna()]
    rows = pd.DataFrame(
        {
            "day": kept[TIME].dt.floor("D"),
            "variable": kept["variable"],
            "pressure": kept[PRESSURE].fillna(SURFACE),
            "square": kept["oman"] ** 2,
            "n": 1,
        }
    )
    return rows.groupby(DAILY).sum()
