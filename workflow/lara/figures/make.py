"""Making a figure: its arrays are gathered and kept, read back, and drawn from what was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lara import figures
from lara.figures import style

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from lara.figures import Picture
    from lara.stages.run import Run


def draw(run: Run, name: str) -> None:
    """Draw a picture of a run; its arrays are kept beside it. KeyError names the pictures there are."""
    known = figures.pictures(run.config)
    if name not in known:
        raise KeyError(f"no figure '{name}': choose one of {', '.join(known)}")
    kept = keep(run, known[name], gather(run, known[name]))
    style.save(style.drawn(known[name].file.draw, kept), run.layout.figure(name))


def gather(run: Run, picture: Picture) -> Any:
    """The arrays that a picture shows, xr.Dataset or pd.DataFrame. ValueError where the run has nothing for it."""
    picture.inputs(run.config, run.layout)
    return picture.file.gather(run, *picture.case)


def keep(run: Run, picture: Picture, shown: Any) -> Any:
    """Keep the arrays of a picture and return them as they read back."""
    run.layout.figure(picture.name).parent.mkdir(parents=True, exist_ok=True)
    if picture.file.KEPT_AS == "csv":
        return _keep_table(run, picture.name, shown)
    return _keep_fields(run, picture.name, shown)


def _keep_fields(run: Run, name: str, fields: xr.Dataset) -> xr.Dataset:
    from lara.stages.reading import read_dataset
    from lara.stages.writing import write_dataset

    write_dataset(fields, run.layout.figure_fields(name))
    return read_dataset(run.layout.figure_fields(name))


def _keep_table(run: Run, name: str, table: pd.DataFrame) -> pd.DataFrame:
    from lara.stages.reading import read_csv
    from lara.stages.writing import write_csv

    write_csv(table, run.layout.figure_table(name))
    return read_csv(run.layout.figure_table(name))
