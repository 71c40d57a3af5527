"""IODA NetCDF (JEDI): groups of variables over locations, of version 3 and with the older names, read and written.

What LARA writes holds all columns of reports and comes back as it was, times to the second. Files of others say less:
their marks are in QualityMarker or PreQC, types in ObsType; one without types needs `Settings.kind`.
"""

from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd

from lara import receipts
from lara.observations import reports
from lara.observations.readers import ioda_names as names
from lara.observations.readers import levels as wide
from lara.observations.readers.settings import Ledger, Reading, Settings
from lara.observations.reports import COLUMNS, COORDINATE, LEVEL, REPORT, TYPE

HDF5, CLASSIC = b"\x89HDF\r\n\x1a\n", b"CDF"
BY_DATUM = {TYPE: "ObsType", COORDINATE: "verticalCoordinate"}  # columns of metadata that differ within a location
WRITER = "LARA reports, version 1"
SECOND = np.timedelta64(1, "s")
EPOCH = "seconds since 1970-01-01T00:00:00Z"


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file's first bytes are those of NetCDF-4."""
    return head.startswith(HDF5)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write reports as one IODA file, a location for each level of a report, whole or not at all."""
    table = reports.validate(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    location = table.groupby([REPORT, LEVEL], sort=False).ngroup().to_numpy()
    first = table.loc[~table.duplicated([REPORT, LEVEL])]
    with netCDF4.Dataset(partial, "w") as file:
        file.setncatts({"_ioda_layout": "ObsGroup", "_ioda_layout_version": 3, "writer": WRITER})
        file.createDimension("Location", len(first))
        for column in COLUMNS:
            if column.startswith("MetaData/") and column not in BY_DATUM:
                _put(file, column, first[column])
        for variable, rows in table.groupby("variable", sort=False):
            own = location[rows.index]
            for column in COLUMNS:
                if column in BY_DATUM or not (column.startswith("MetaData/") or column == "variable"):
                    name = f"{BY_DATUM.get(column, column)}/{names.VARIABLES[variable]}"
                    _put(file, name, rows[column], own, names.UNITS.get(variable) if column in names.PHYSICAL else None)
    receipts.put(partial, path)


def _put(
    file: netCDF4.Dataset, name: str, values: pd.Series, at: np.ndarray | None = None, units: str | None = None
) -> None:
    """Store a column, or the part of it that a variable has, at its locations."""
    if values.dtype == "str":
        file.createVariable(name, str, ("Location",))[:] = values.to_numpy(dtype=object)
        return
    array, is_time = values.to_numpy(), values.dtype.kind == "M"
    if is_time:
        array = np.where(values.isna(), names.NO_TIME, array.astype("datetime64[s]").astype(np.int64))
    fill = array.dtype.type(netCDF4.default_fillvals[array.dtype.str[1:]])
    variable = file.createVariable(name, array.dtype, ("Location",), zlib=True, fletcher32=True, fill_value=fill)
    if units or is_time:
        variable.units = EPOCH if is_time else units
    whole = array
    if at is not None:
        whole = np.full(file.dimensions["Location"].size, fill)
        whole[at] = array
    variable.set_auto_mask(False)
    variable[:] = whole


def read(path: Path, settings: Settings) -> Reading:
    """The reports of an IODA file. ValueError names the file and what it lacks."""
    receipts.require_whole(path)
    try:
        with netCDF4.Dataset(path) as file:
            table, remarks = _reports(file, settings)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: {error}") from error
    locations = len(table.drop_duplicates([REPORT, LEVEL]))
    return Reading(table, Ledger("ioda", 1, table[REPORT].nunique(), locations, wide.marks(table), remarks))


def _reports(file: netCDF4.Dataset, settings: Settings) -> tuple[pd.DataFrame, dict[str, int]]:
    """The reports of an open file, and what nothing could be made of."""
    if "writer" in file.ncattrs() and file.writer == WRITER:
        return _own(file), {}
    levels = names.levels(file, settings)
    table = wide.to_reports(levels, settings)
    return table, wide.lost(levels, table)


def _own(file: netCDF4.Dataset) -> pd.DataFrame:
    """Reports that LARA wrote."""
    size = file.dimensions["Location"].size
    shared = {}
    for column in COLUMNS:
        if column.startswith("MetaData/") and column not in BY_DATUM:
            shared[column] = _get(file, column, slice(None))
    parts = []
    for variable in reports.NAMES:
        name = names.VARIABLES[variable]
        if name not in file["ObsValue"].variables:
            continue
        at = np.flatnonzero(~np.ma.getmaskarray(file[f"ObsValue/{name}"][:]))
        columns = {column: values[at] for column, values in shared.items()} | {
            "variable": np.full(len(at), variable, object)
        }
        for column in COLUMNS:
            if column not in columns:
                columns[column] = _get(file, f"{BY_DATUM.get(column, column)}/{name}", at)
        parts.append(pd.DataFrame(columns | {"at": at, "order": reports.NAMES.index(variable)}))
    if not parts or not size:
        return reports.make({}, 0)
    table = pd.concat(parts, ignore_index=True).sort_values(["at", "order"], ignore_index=True)
    return reports.validate(table)


def _get(file: netCDF4.Dataset, name: str, at: object) -> np.ndarray:
    variable = file[name]
    variable.set_auto_mask(False)
    values = variable[:][at]
    if getattr(variable, "units", None) != EPOCH:
        return values
    moment = values.astype("datetime64[s]").astype("datetime64[ns]")
    return np.where(values == names.NO_TIME, np.datetime64("NaT", "ns"), moment)
