"""LARA's cycled 3D-Var and 4D-Var of Lorenz-96, in float64, with a B that does not change and knows no correlation.

    B = σ_b² I,   σ_b chosen on a stretch of its own, all candidates in one batch

Each datum is assimilated once, in windows of `slots` observation times, which may overlap. A window's last state is a
filter's estimate, its first one a smoother's.
"""

import time
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lara.assimilation.analysis import Analysis
from lara.assimilation.control import DiagonalControl
from lara.assimilation.cycle import Model, Scheme, Start, assimilate, cycle
from lara.assimilation.gaussnewton import GaussNewton
from lara.assimilation.search import Descent, Tolerance
from lara.assimilation.trajectory import autonomous
from lara.assimilation.window import Window, windows
from lara.peers.ours import BEGIN, STEP, PointObservations
from lara.peers.problems import Twin, lorenz96

METHOD = GaussNewton(evaluations=4, inner=30, inner_tolerance=0.05, tolerance=Tolerance(1e-2, 1e-4))
CANDIDATES = (0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8)  # σ_b


@dataclass(frozen=True, eq=False)
class Errors:
    """RMSE of analyses by window and member: `filtered` at each window's last slot, `smoothed` at its first.

    last, first: the positions 1 … K of those slots in the truth. evaluations: of J or products with its curvature, mean
    of a window. seconds, processor: wall and processor time of the whole stretch.
    """

    filtered: Float[np.ndarray, "w b"]
    smoothed: Float[np.ndarray, "w b"]
    last: Int[np.ndarray, " w"]
    first: Int[np.ndarray, " w"]
    evaluations: float
    seconds: float
    processor: float


def assimilate_lorenz96(twin: Twin, std: Float[Tensor, " b"], slots: int, overlap: int = 0) -> Errors:
    """Errors of cycled 4D-Var (3D-Var for one slot) with windows of `slots` observed slots, one member per σ_b."""
    shift = slots - overlap
    count = (len(twin.value) - overlap) // shift * shift + overlap
    period = windows(BEGIN, BEGIN + count * STEP, slots, STEP, overlap)
    value, scheme = torch.from_numpy(twin.value), _scheme(std, len(twin.first), METHOD)

    def observations_of(window: Window) -> PointObservations:
        begin = int((window.begin - BEGIN) / STEP)
        fresh = value[begin + window.overlap : begin + window.count].expand(len(std), -1, -1)
        return PointObservations(fresh, torch.full_like(fresh, twin.error_std), window.overlap)

    begin = time.perf_counter(), time.process_time()
    start = Start(lorenz96(torch.from_numpy(twin.first)).expand(len(std), -1))
    analysed = list(cycle(period, start, observations_of, partial(assimilate, scheme=scheme), scheme.model.step))
    seconds, processor = time.perf_counter() - begin[0], time.process_time() - begin[1]
    first = 1 + np.array([int((window.begin - BEGIN) / STEP) for window in period])
    last = first + slots - 1
    minima = [analysis.minimum for analysis in chain.from_iterable(analysed) if analysis.minimum]
    evaluations = float(np.mean([minimum.evaluations + minimum.products for minimum in minima]))
    filtered, smoothed = _rmse(analysed, -1, twin.truth[last]), _rmse(analysed, 0, twin.truth[first])
    return Errors(filtered, smoothed, last, first, evaluations, seconds, processor)


def tuned(twin: Twin, slots: int, overlap: int, spin_up: int) -> float:
    """The σ_b of the lowest filter RMSE after `spin_up` steps of a stretch."""
    errors = assimilate_lorenz96(twin, torch.tensor(CANDIDATES, dtype=torch.float64), slots, overlap)
    return CANDIDATES[int(errors.filtered[errors.last > spin_up].mean(0).argmin())]


def _scheme(std: Float[Tensor, " b"], n: int, method: Descent) -> Scheme:
    return Scheme(Model(autonomous(lorenz96)), DiagonalControl(std.square()[:, None].expand(-1, n)), method)


def _rmse(analysed: list[list[Analysis]], slot: int, truth: Float[np.ndarray, "w n"]) -> Float[np.ndarray, "w b"]:
    states = torch.stack([torch.stack([analysis.analysis[slot] for analysis in members]) for members in analysed])
    return (states - torch.from_numpy(truth)[:, None]).square().mean(-1).sqrt().numpy()
