"""Small observation tables."""

import numpy as np
import pandas as pd

from lara.observations.table import COLUMNS

SLOTS = np.datetime64("2001-01-31T18", "ns") + np.arange(4) * np.timedelta64(6, "h")


def table_of(latitude, longitude, variable="z", pressure=50000.0, time=SLOTS[0], **columns):
    """One good row per place, of value 0 and error 1, in the types of a table; any column can be given."""
    n = len(latitude)
    rows = pd.DataFrame({"MetaData/latitude": latitude, "MetaData/longitude": longitude})
    rows = rows.assign(
        **{"MetaData/stationIdentification": [f"s{i}" for i in range(n)], "MetaData/stationType": "column"}
    )
    rows = rows.assign(**{"variable": variable, "MetaData/pressure": pressure, "MetaData/dateTime": time})
    rows = rows.assign(ObsValue=0.0, ObsError=1.0, PreQC=0, withheld=False)
    return rows.assign(**columns)[list(COLUMNS)].astype(COLUMNS)
