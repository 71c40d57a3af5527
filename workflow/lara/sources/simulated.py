"""A simulated atmosphere: spectral primitive equations with SPEEDY physics, by `jcm` 3.0.

Physics: Molteni (2003), doi:10.1007/s00382-002-0268-2; dynamics: Kochkov et al. (2024),
doi:10.1038/s41586-024-07744-y.

A member starts from rest with white temperature noise drawn from (seed, member), is spun up once, and then
runs day by day; the state at every month boundary is kept as a restart. Frames at 00, 06, 12 and 18 UTC come
from one compiled block of 24 h, so a block starts at 18 UTC on the eve of the day it yields. Seasons come
from the climatological sea surface, snow, soil and ice of the boundary files in the `jcm` wheel and from the
model's own calendar; every year has the same boundary conditions.

Near-surface values are SPEEDY's: t2m is its air temperature t₀ at the ground and u10, v10 its near-surface
wind (0.95 of the lowest level's), all from the physics of the last time step, that is one time step before
the stated hour. The radiation is daily-mean, so there is no diurnal cycle.
"""

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from lara.grid import Grid
from lara.receipts import digest, write_bytes
from lara.sources.speedy import MEAN_SURFACE_PRESSURE, STEP_HOURS, Atmosphere, Frames, State
from lara.sources.vertical import SigmaState, mean_sea_level_pressure, to_pressure_levels

Day = np.datetime64

DAY = np.timedelta64(1, "D")
HOURS = np.arange(0, 24, STEP_HOURS).astype("timedelta64[h]")
LATITUDES = {21: 32, 31: 48, 42: 64, 63: 96, 85: 128}  # Gaussian rows by triangular truncation


@dataclass(frozen=True)
class Simulation:
    """What to simulate.

    Triangular `truncation`, number of sigma `layers`, `time_step_minutes` (a divisor of 6 h), `spin_up_days`,
    `perturbation` (K, standard deviation of the white noise on temperature at the start), `seed`.
    """

    truncation: int
    layers: int
    time_step_minutes: float
    spin_up_days: int
    perturbation: float
    seed: int

    def __post_init__(self) -> None:
        if self.truncation not in LATITUDES:
            raise ValueError(f"truncation {self.truncation} is not available; choose one of {sorted(LATITUDES)}")
        if (STEP_HOURS * 60) % self.time_step_minutes:
            raise ValueError(f"time_step_minutes {self.time_step_minutes} does not divide {STEP_HOURS} h; try 30")
        if self.spin_up_days < 1 or self.perturbation <= 0:
            raise ValueError(
                f"spin_up_days ({self.spin_up_days}) and perturbation ({self.perturbation} K) must be positive, "
                "or all members would be the same"
            )


def grid(simulation: Simulation) -> Grid:
    """The Gaussian grid of the simulation's truncation."""
    rows = LATITUDES[simulation.truncation]
    return Grid.gaussian(rows, 2 * rows)


def months(
    simulation: Simulation,
    member: int,
    begin: np.datetime64,
    end: np.datetime64,
    levels: Sequence[int],
    restarts: Path,
    progress: Callable[[int, int], None],
    resume: np.datetime64 | None = None,
) -> Iterator[tuple[np.datetime64, xr.Dataset]]:
    """Yield (start, states) for each calendar month of [begin, end), the first and last clipped to it.

    States are 6-hourly from 00 UTC with dimensions (time, level, latitude, longitude), `levels` in hPa
    ascending as given, rows north to south: z, q, t, u, v, msl, t2m, u10, v10 in SI units, float32. With
    `resume` (a day) only what lies in [resume, end) is yielded, from the latest restart at or before it, to
    the same bits as in one run. `progress` receives the days done and the total, spin-up included where it
    is still to run. Raises ValueError for a period that is not whole days or is empty, for a restart of
    another model and for states that are not finite.
    """
    begin, end = _whole_day(begin), _whole_day(end)
    resume = begin if resume is None else _whole_day(resume)
    if not begin <= resume < end:
        raise ValueError(f"nothing to simulate: begin {begin}, resume {resume}, end {end} must be in this order")
    kept = _Restarts(restarts, _identity(simulation, member, begin))
    run = _open(simulation, member, begin, end, kept, resume)
    for _ in run.until(begin, progress):
        pass
    for start, stop in _segments(begin, resume, end):
        days = [
            _dataset(run.atmosphere, day, frames, levels)
            for day, frames in run.until(stop, progress)
            if start >= resume
        ]
        if days:
            yield start, xr.concat(days, dim="time")


def _whole_day(time: np.datetime64) -> Day:
    day = time.astype("M8[D]")
    if day != time.astype("M8[s]"):
        raise ValueError(f"{time} is not a whole day; a simulated period begins and ends at 00 UTC")
    return day


def _segments(begin: Day, resume: Day, end: Day) -> list[tuple[Day, Day]]:
    """Calendar months clipped to [begin, end), also cut at `resume`."""
    starts = np.arange(begin.astype("M8[M]") + 1, end.astype("M8[M]") + 1).astype("M8[D]")
    cuts = sorted({begin, resume, end, *(start for start in starts if start < end)})
    return list(pairwise(cuts))


def _identity(simulation: Simulation, member: int, begin: Day) -> str:
    values = asdict(simulation) | {"member": member, "begin": str(begin)}
    model = {"jcm": version("jcm"), "mean_surface_pressure": MEAN_SURFACE_PRESSURE}
    return f"{digest(values | model)}-m{member:03d}"


@dataclass
class _Run:
    """A model on its way: `day` starts from `state`; `first` and `end` bound the days to be run."""

    atmosphere: Atmosphere
    restarts: "_Restarts"
    state: State
    day: Day
    first: Day
    end: Day

    def until(self, stop: Day, progress: Callable[[int, int], None]) -> Iterator[tuple[Day, Frames]]:
        """Run to `stop`, yield every day's frames and keep a restart there; nothing when already past it."""
        if self.day >= stop:
            return
        while self.day < stop:
            day = self.day
            self.state, frames = self.atmosphere.day(self.state, day)
            _check_finite(frames, day)
            self.day += DAY
            progress(int((self.day - self.first) / DAY), int((self.end - self.first) / DAY))
            yield day, frames
        self.restarts.write(stop, self.state)


def _open(simulation: Simulation, member: int, begin: Day, end: Day, restarts: "_Restarts", resume: Day) -> _Run:
    """The run at its latest restart not after `resume`, or else at the start of the spin-up."""
    origin = begin - simulation.spin_up_days * DAY
    atmosphere = Atmosphere(
        simulation.truncation,
        simulation.layers,
        simulation.time_step_minutes,
        origin,
        restarts.folder.parent / "compiled",
    )
    boundaries = [start for start, _ in _segments(begin, resume, end) if start <= resume]
    first = max((day for day in boundaries if restarts.path(day).exists()), default=origin)
    state = atmosphere.start(_noise(simulation, member)) if first == origin else restarts.read(first, atmosphere.leaves)
    return _Run(atmosphere, restarts, state, day=first, first=first, end=end)


def _noise(simulation: Simulation, member: int) -> Float[np.ndarray, "latitude longitude"]:
    """White noise, K, of (seed, member) alone."""
    generator = np.random.default_rng([simulation.seed, member])
    return simulation.perturbation * generator.standard_normal(grid(simulation).shape)


def _check_finite(frames: Frames, day: Day) -> None:
    for name, values in frames.items():
        if not np.isfinite(values).all():
            raise ValueError(f"simulated {name} is not finite on {day}; the run is unstable: lower time_step_minutes")


def _dataset(atmosphere: Atmosphere, day: Day, frames: Frames, levels: Sequence[int]) -> xr.Dataset:
    """One day's frames, on sigma levels, as states on pressure `levels` (hPa)."""
    sigma = SigmaState(
        sigma=atmosphere.sigma,
        geopotential=frames["z"],
        temperature=frames["t"],
        humidity=frames["q"],
        eastward=frames["u"],
        northward=frames["v"],
        surface_pressure=frames["ps"],
        surface_geopotential=atmosphere.surface_geopotential,
    )
    upper = to_pressure_levels(sigma, levels)
    surface = {
        "msl": mean_sea_level_pressure(sigma),
        **{name: frames[name] for name in ("t2m", "u10", "v10")},
    }
    place = Grid.gaussian(*atmosphere.surface_geopotential.shape)
    horizontal = ("latitude", "longitude")
    return xr.Dataset(
        {name: (("time", "level", *horizontal), values.astype(np.float32)) for name, values in upper.items()}
        | {name: (("time", *horizontal), values.astype(np.float32)) for name, values in surface.items()},
        coords={
            "time": (day + HOURS).astype("M8[ns]"),
            "level": np.asarray(levels, dtype=np.int64),
            "latitude": place.latitude,
            "longitude": place.longitude,
        },
    )


@dataclass(frozen=True)
class _Restarts:
    """States at day boundaries, one uncompressed npz each, read without executing code."""

    folder: Path
    stem: str

    def path(self, day: Day) -> Path:
        return self.folder / f"{self.stem}-{day}.npz"

    def write(self, day: Day, state: State) -> None:
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **{f"leaf{i:03d}": leaf for i, leaf in enumerate(state)})
        write_bytes(self.path(day), content.getvalue())

    def read(self, day: Day, template: State) -> State:
        """The state kept for `day`. Raises ValueError when the file is broken or of another model."""
        try:
            with self.path(day).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                state = [file[name] for name in sorted(file.files)]
        except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
            raise ValueError(f"restart {self.path(day)} cannot be read ({error}); delete it and run again") from error
        if [(a.shape, a.dtype) for a in state] != [(a.shape, a.dtype) for a in template]:
            raise ValueError(f"restart {self.path(day)} belongs to another model; delete it and run again")
        return state
