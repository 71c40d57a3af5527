"""Figures of a run: one file each, in the folder of its category; the folders are the list.

A figure file says
    TARGET                  the target that draws it: "all", "figures" (which draws those of `all` too), "osse", …
    KEPT_AS                 "nc" or "csv": the file beside the picture that keeps the arrays it shows
    CAPTION                 what it is to be read for
    NEEDS                   what to add to a configuration that has nothing for it to show; left out where all have
    inputs(config, layout)  the files it is drawn from; none where the configuration has nothing for it to show
    gather(run)             the arrays it shows, as xr.Dataset ("nc") or pd.DataFrame ("csv"), without matplotlib
    draw(shown)             the picture, of these arrays alone as they read back from their file
For example `physics/budgets.py` is drawn by the target `figures` as `figures/budgets.png`, its arrays kept as
`figures/budgets.nc`. A file that is drawn once for each experiment or case has `cases(config)` too, and its `inputs`
and `gather` take the case as well: `analyses/spread_skill.py` makes `spread_skill_<experiment>.png`.

Snakemake imports the files to plan, so that at their top they import neither matplotlib nor xarray nor torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout

FOLDER = Path(__file__).parent


class FigureFile(Protocol):
    """What every figure file has."""

    TARGET: str
    KEPT_AS: Literal["nc", "csv"]
    CAPTION: str
    inputs: Callable[..., list[Path]]
    gather: Callable[..., Any]
    draw: Callable[[Any], Figure]


@dataclass(frozen=True)
class Picture:
    """One picture of a run: the file that draws it and, where that draws several, the case it is of."""

    name: str
    file: FigureFile
    case: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """Name of its file's module, such as "lara.figures.physics.budgets"."""
        return cast(ModuleType, self.file).__name__

    @property
    def category(self) -> str:
        """Chapter of the report and of the page: the folder its file lies in."""
        return self.module.split(".")[-2].replace("_", " ")

    def caption(self, config: Config) -> str:
        """What it is to be read for, and of which run; n stands in the picture."""
        reference = config.verification.reference
        spin_up, days = config.spin_up_days(reference), config.experiments[reference].days
        points = f"{config.grid.latitudes} x {config.grid.longitudes} points"
        run = f"Run `{config.name}`: {len(config.state.channels)} channels on {points}"
        scored = f"reference {reference}, {days - spin_up} days scored after {spin_up} of spin-up"
        return f"{self.file.CAPTION} {run}, {scored}."

    def inputs(self, config: Config, layout: Layout) -> list[Path]:
        """The files it is drawn from. ValueError where the configuration has nothing for it to show."""
        found = self.file.inputs(config, layout, *self.case)
        if not found:
            needs = cast(ModuleType, self.file).NEEDS
            raise ValueError(f"run '{config.name}' has nothing for figure '{self.name}' to show: add {needs}")
        return found


@cache
def files() -> dict[str, FigureFile]:
    """Every figure file by its name."""
    paths = sorted(FOLDER.glob("*/[!_]*.py"))
    return {path.stem: cast(FigureFile, import_module(f"{__name__}.{path.parent.name}.{path.stem}")) for path in paths}


def pictures(config: Config) -> dict[str, Picture]:
    """Every picture of a configuration by its name; of those drawn once also what it has nothing for."""
    found = []
    for name, file in files().items():
        if hasattr(file, "cases"):
            found += [Picture(f"{name}_{case}", file, (case,)) for case in file.cases(config)]
        else:
            found.append(Picture(name, file))
    return {picture.name: picture for picture in found}


def drawn_by(target: str, config: Config, layout: Layout) -> list[str]:
    """Names of the pictures that a target draws of a configuration."""
    return [
        name
        for name, picture in pictures(config).items()
        if target == picture.file.TARGET and picture.file.inputs(config, layout, *picture.case)
    ]


def picture_of(name: str) -> Picture:
    """The picture of a name, whether or not some configuration has it. KeyError where no figure file draws it."""
    if name in files() and not hasattr(files()[name], "cases"):
        return Picture(name, files()[name])
    several = [own for own, file in files().items() if hasattr(file, "cases") and name.startswith(f"{own}_")]
    if not several:
        raise KeyError(f"no file in {FOLDER} draws figure '{name}': add one, or remove {name}.png")
    own = max(several, key=len)
    return Picture(name, files()[own], (name.removeprefix(f"{own}_"),))
