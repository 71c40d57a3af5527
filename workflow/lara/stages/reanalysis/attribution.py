"""Attribution of an archive: what it is, whose, on what terms and where, in the names of CF-1.11 and ACDD-1.3.

It is added when an archive is sealed and belongs to no identity: another licence makes no analysis again. It holds no
time of day, so that equal content has equal bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lara.config import Cds, Zarr
from lara.stages import origin
from lara.stages.run import Run

PAPER = "Fan et al. (2026), Science Advances, https://doi.org/10.1126/sciadv.aea4248"


def attribution(run: Run, name: str, times: np.ndarray) -> dict[str, Any]:
    """Attributes of the archive of an experiment at `times`: those configured, the others as its content says."""
    chosen, configured = run.config.experiments[name], run.config.archive.attributes
    own = {
        "title": f"LARA {run.config.name}: {name} ({chosen.method})",
        "summary": f"Analyses of experiment {name} of LARA ({chosen.method}) and the forecasts that they started from, "
        f"cycled over windows of {chosen.window_hours} h",
        "source": f"LARA ({chosen.method}); networks trained on {_atmosphere(run)}",
        "references": PAPER,
        **_coverage(run, times),
        **origin.stated(run, name),
    }
    given = {key: value for key, value in configured.model_dump(mode="json").items() if value is not None}
    return own | given


def _atmosphere(run: Run) -> str:
    """Where the states come from, in words."""
    source = run.config.source
    if isinstance(source, Cds):
        return f"ERA5 of the Climate Data Store, {source.grid} degrees"
    return f"states of {source.url}" if isinstance(source, Zarr) else "a simulated atmosphere"


def _coverage(run: Run, times: np.ndarray) -> dict[str, Any]:
    """Times and places that an archive covers."""
    latitude, longitude, levels = run.grid.latitude, run.grid.longitude, run.config.state.levels
    begin, end = (f"{str(moment)[:19]}Z" for moment in times[[0, -1]])
    resolution = f"PT{(times[1] - times[0]) // np.timedelta64(1, 'h')}H"
    found: dict[str, Any] = {"time_coverage_start": begin, "time_coverage_end": end}
    found |= {"time_coverage_resolution": resolution, "geospatial_lat_units": "degrees_north"}
    found |= {"geospatial_lat_min": float(latitude.min()), "geospatial_lat_max": float(latitude.max())}
    found |= {"geospatial_lon_min": float(longitude.min()), "geospatial_lon_max": float(longitude.max())}
    found |= {"geospatial_lon_units": "degrees_east"}
    if run.config.state.upper_air:
        found |= {"geospatial_vertical_min": float(min(levels)), "geospatial_vertical_max": float(max(levels))}
        found |= {"geospatial_vertical_units": "hPa", "geospatial_vertical_positive": "down"}
    return found
