"""The `jcm` model behind the simulated atmosphere, as one compiled block of 24 h.

`jax` and `jcm` are imported only when an `Atmosphere` is made, on one thread: members run as parallel jobs.
Rows leave this module north to south and arrays as (time, level, latitude, longitude); inside `jcm` they are
(level, longitude, latitude), south first.

The start is `jcm`'s own (isothermal, at rest) with its mass corrected: ln p_s ← ln p_s + ln(98 300 Pa / area
mean of p_s). The dynamics then conserves the mean of ln p_s.
"""

import os
import platform
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from lara.grid import Grid
from lara.receipts import digest

if TYPE_CHECKING:
    import jax
    from dinosaur.primitive_equations import State as Spectral
    from jax_datetime import Datetime
    from jcm.forcing import ForcingData
    from jcm.model import Model
    from jcm.predictions import ModelPredictions

    Fields = dict[str, jax.Array]

State = list[np.ndarray]  # leaves of the model's (dynamics, physics) tree
Frames = dict[str, np.ndarray]

MEAN_SURFACE_PRESSURE = (
    98_300.0  # Pa at the start; settles near 98 500. The model's own start carries 1.5 % too much air
)
STEP_HOURS = 6
_EVE = np.timedelta64(STEP_HOURS, "h")
_XLA_FLAGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class Atmosphere:
    """A model at `truncation` and `layers`, ready to `start` and to run `day` by day.

    `sigma` (layer,) are the full levels, top first; `surface_geopotential` (latitude, longitude), m² s⁻², is
    g times the orography that the dynamics uses, truncated in spectral space (up to 1.5 km off the boundary
    file); `leaves` is a state's template. `origin` is the first day of the run, from which the model counts
    its steps. Compiled code is kept under `compiled`.
    """

    def __init__(
        self, truncation: int, layers: int, time_step_minutes: float, origin: np.datetime64, compiled: Path
    ) -> None:
        _prepare(compiled)
        import jax

        self.model, self.forcing = _build(truncation, layers, time_step_minutes)
        self.origin, self.steps_per_day = origin, round(1440 / time_step_minutes)
        leaves, self.tree = jax.tree_util.tree_flatten(self.model.bootstrap_state())
        self.leaves: State = [np.asarray(leaf) for leaf in leaves]
        self.sigma = np.asarray(self.model.coords.vertical.centers, dtype=np.float64)
        orography = self.model.coords.horizontal.to_nodal(self.model.dycore.primitive.orography)
        self.surface_geopotential = self.model.dycore.constants.grav * _northern_first(orography)
        self.block = jax.jit(self._block)

    def start(self, noise: Float[np.ndarray, "latitude longitude"]) -> State:
        """The state at 18 UTC on the eve of `origin`: rest, the right mass, `noise` (K) on every layer."""
        import jax

        horizontal = self.model.coords.horizontal
        dynamics, physics = self.model.bootstrap_state()
        excess = np.log(MEAN_SURFACE_PRESSURE / self.mean_surface_pressure(dynamics))
        mass = horizontal.to_modal(np.full((1, *horizontal.nodal_shape), excess, dtype=np.float32))
        warmth = horizontal.to_modal(_southern_first(noise))
        dynamics = dynamics.replace(
            temperature_variation=dynamics.temperature_variation + warmth,
            log_surface_pressure=dynamics.log_surface_pressure + mass,
        )
        return [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves((dynamics, physics))]

    def mean_surface_pressure(self, dynamics: "Spectral") -> float:
        """Area mean of the surface pressure of a spectral state, Pa."""
        pressure = np.exp(_northern_first(self.model.coords.horizontal.to_nodal(dynamics.log_surface_pressure)[0]))
        weights = Grid.gaussian(*pressure.shape).area_weights
        return float(self.model.dycore.constants.p0 * np.average(pressure, weights=weights))

    def day(self, state: State, day: np.datetime64) -> tuple[State, Frames]:
        """From 18 UTC on the eve of `day`: the state 24 h later and the frames of 00, 06, 12, 18 UTC.

        Frames: u, v, t, q, z (time, layer, latitude, longitude) and ps, t2m, u10, v10 (time, latitude,
        longitude), SI, float64.
        """
        from jcm.date import to_datetime

        step = np.int32(int((day - self.origin) / np.timedelta64(1, "D")) * self.steps_per_day)
        begin = to_datetime(str(day.astype("M8[s]") - _EVE))
        leaves, fields = self.block(state, begin, step, self.forcing)
        frames = {name: _northern_first(field) for name, field in fields.items()}
        return [np.asarray(leaf) for leaf in leaves], frames

    def _block(
        self, state: State, time: "Datetime", step: np.int32, forcing: "ForcingData"
    ) -> tuple[list["jax.Array"], "Fields"]:
        import jax

        dynamics, physics = jax.tree_util.tree_unflatten(self.tree, state)
        run, predictions = self.model.run_from_state_with_carry(
            initial_state=dynamics,
            initial_physics_state=physics,
            initial_time=time,
            initial_step=step,
            forcing=forcing,
            save_interval=f"{STEP_HOURS} hours",
            total_time="1 days",
        )
        leaves = jax.tree_util.tree_leaves((run.dynamics, run.physics))
        return leaves, _frames(predictions, self.model.dycore.constants.p0)


def _frames(predictions: "ModelPredictions", reference_pressure: float) -> "Fields":
    air, near_surface = predictions.dynamics, predictions.physics["_surface_flux"]
    return {
        "u": air.u_wind,
        "v": air.v_wind,
        "t": air.temperature,
        "q": air.specific_humidity,
        "z": air.geopotential,
        "ps": reference_pressure * air.normalized_surface_pressure,
        "t2m": near_surface.t0,
        "u10": near_surface.u0,
        "v10": near_surface.v0,
    }


def _northern_first(field: "jax.Array") -> Float[np.ndarray, "*batch latitude longitude"]:
    return np.swapaxes(np.asarray(field, dtype=np.float64), -1, -2)[..., ::-1, :]


def _southern_first(
    field: Float[np.ndarray, "latitude longitude"],
) -> Float[np.ndarray, "longitude latitude"]:
    return np.ascontiguousarray(field[::-1].T, dtype=np.float32)


def _prepare(compiled: Path) -> None:
    """Hold XLA to one thread (possible only before jax is imported); keep what it compiles, by processor."""
    if "jax" not in sys.modules:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAGS}".strip()
        os.environ |= {"JAX_PLATFORMS": "cpu", "NPROC": "1"}
    import jax

    jax.config.update("jax_compilation_cache_dir", str(compiled / _processor()))


def _processor() -> str:
    """Identity of this processor's instruction set: code compiled for another must not be loaded."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    features = {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    return digest([platform.machine(), *sorted(features)])


def _build(truncation: int, layers: int, time_step_minutes: float) -> tuple["Model", "ForcingData"]:
    """Model and boundary conditions, from the `jcm` wheel's climatology on 96x48 brought to the grid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside jcm and its dependencies; not ours to repair
        import jcm
        from jcm.forcing import ForcingData
        from jcm.model import Model
        from jcm.physics.speedy.speedy_coords import get_speedy_coords
        from jcm.terrain import TerrainData

        folder = Path(jcm.__file__).parent / "data" / "bc" / "t30" / "clim"
        coords = get_speedy_coords(layers=layers, spectral_truncation=truncation)
        terrain = TerrainData.from_file(str(folder / "terrain.nc"), coords=coords)
        forcing = ForcingData.from_file(str(folder / "forcing.nc"), coords=coords, align_mode="wrap_year")
        return Model(coords=coords, terrain=terrain, time_step=time_step_minutes), forcing
