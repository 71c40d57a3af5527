"""Analyses of windows, and sequences of them: the next background is the forecast from the window's last analysis.

    analysis_j = x_j(χ_a),  χ_a = argmin J,       background_{w+1} = M(analysis_{k−1} of window w, t_{k−1})

Where windows overlap, the next background is the analysis at the next window's begin. A method is a callable (windows,
start, observations) → analyses, one per member of the batch. Three exist: `assimilate` (latent with a model's encode
and decode, model space with the identity) and the controls `free` and `autoencoder_only`, which use no observation but
report their fit to them. Bind their other arguments with `functools.partial`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lara.assimilation import AssimilationError
from lara.assimilation.analysis import Analysis, Terms, fits, terms
from lara.assimilation.control import Control
from lara.assimilation.cost import CostFunction, Observations, observation_term, present
from lara.assimilation.minimise import minimise
from lara.assimilation.quality import GAUSSIAN, BackgroundDraws, Norm, background_check
from lara.assimilation.search import Descent
from lara.assimilation.trajectory import Map, Step, StrongConstraint, Trajectory, WeakConstraint, integrate
from lara.assimilation.window import Window, times_of


def identity(state: Tensor) -> Tensor:
    """Encode and decode of model space."""
    return state


@dataclass(frozen=True)
class Model:
    """The callables step (x_k, t_k) ↦ x_{k+1}, encode x ↦ z and decode z ↦ x on batches, with x in SI units.

    Model space leaves encode and decode the identity.
    """

    step: Step
    encode: Map = identity
    decode: Map = identity


@dataclass(frozen=True, eq=False)
class Scheme:
    """How a window is assimilated.

    control: B^½. norm: ρ of the observation term. background_draws: draws of the background error, by which data beyond
    check_threshold standard deviations of the innovation are rejected; None checks nothing. increment_form: decode to
    x_b + D(z) − D(z_b). forcing: Q^½ of the weak constraint, None for a perfect model. recompute: save memory.
    """

    model: Model
    control: Control
    minimiser: Descent
    norm: Norm = GAUSSIAN
    background_draws: BackgroundDraws | None = None
    check_threshold: float | None = None
    increment_form: bool = False
    forcing: Control | None = None
    recompute: bool = False


@dataclass(frozen=True, eq=False)
class Start:
    """What a window starts from: x_b at its begin (b, …), and what the minimisations before left, by member."""

    background: Float[Tensor, "b ..."]
    memories: tuple[Any, ...] | None = None


Method = Callable[[Sequence[Window], Start, Observations], list[Analysis]]
Disturb = Callable[[Window, Tensor], Tensor]


def cycle(
    windows: Sequence[Window],
    start: Start,
    observations_of: Callable[[Window], Observations],
    method: Method,
    step: Step,
    disturb: Disturb | None = None,
) -> Iterator[list[Analysis]]:
    """Analyses of consecutive windows, by member; the first from `start`.

    disturb: (window, backgrounds) → backgrounds of an ensemble. To resume, begin with the next window from `next_start`
    of the last analyses: the result is the same to the bit.
    """
    for window, following in zip(windows, [*windows[1:], None], strict=True):
        analyses = method([window] * len(start.background), start, observations_of(window))
        yield analyses
        if following is not None:
            start = next_start(analyses, following, step, disturb)


def next_start(analyses: Sequence[Analysis], window: Window, step: Step, disturb: Disturb | None = None) -> Start:
    """What `window` starts from after the window before it."""
    before = analyses[0].window
    states = torch.stack([analysis.analysis[before.count - 1 - max(window.overlap - 1, 0)] for analysis in analyses])
    if not window.overlap:
        with torch.no_grad():
            states = step(states, times_of([before] * len(analyses))[:, -1])
    memories = tuple(analysis.minimum.memory if analysis.minimum else None for analysis in analyses)
    return Start(disturb(window, states) if disturb else states, memories)


def assimilate(windows: Sequence[Window], start: Start, observations: Observations, scheme: Scheme) -> list[Analysis]:
    """Variational analyses of b windows from x_b at their begins; without any datum χ = 0 exactly.

    The background trajectory is the forecast from x_b itself, not from D(E(x_b)).
    Raises AssimilationError naming the window and what is not finite.
    """
    first_guess = _forecast(windows, "background", start.background, scheme.model.step)
    hofx_background = _hofx(windows, "background", first_guess, observations)
    observations, rejected, spread = _checked(observations, hofx_background, scheme, first_guess)
    cost = cost_function(windows, start.background, observations, scheme)
    with _naming(windows):
        minima = minimise(cost, cost.zeros(), scheme.minimiser, start.memories)
    with torch.no_grad():
        analysis = cost.trajectory(torch.stack([minimum.argument for minimum in minima]))
    _require_finite(windows, "analysis", analysis)
    hofx = _hofx(windows, "analysis", analysis, observations)
    found = fits(hofx_background, hofx, observations, rejected, scheme.norm, spread)
    return [
        Analysis(window, first_guess[i], analysis[i], found[i], *terms(minima[i]), True, minima[i])
        for i, window in enumerate(windows)
    ]


def cost_function(
    windows: Sequence[Window], background: Float[Tensor, "b ..."], observations: Observations, scheme: Scheme
) -> CostFunction:
    """J of b windows around their backgrounds x_b."""
    model = scheme.model
    latent = _encoded(windows, background, model)
    anchor = None
    if scheme.increment_form:
        with torch.no_grad():
            anchor = (background, model.decode(latent))
    strong = StrongConstraint(
        latent, scheme.control, model.decode, model.step, times_of(windows), anchor, scheme.recompute
    )
    trajectory: Trajectory = strong
    if scheme.forcing is not None:
        trajectory = WeakConstraint(strong, model.encode, scheme.forcing)
    with _naming(windows):
        return CostFunction(trajectory, observations, scheme.norm)


def free(windows: Sequence[Window], start: Start, observations: Observations, model: Model) -> list[Analysis]:
    """The background trajectories as the analyses: a run without observations."""
    trajectory = _forecast(windows, "background", start.background, model.step)
    return _unassimilated(windows, trajectory, trajectory, observations)


def autoencoder_only(
    windows: Sequence[Window], start: Start, observations: Observations, model: Model
) -> list[Analysis]:
    """The trajectories from D(E(x_b)) as the analyses: what the autoencoder does without observations."""
    trajectory = _forecast(windows, "background", start.background, model.step)
    latent = _encoded(windows, start.background, model)
    with torch.no_grad():
        decoded = model.decode(latent)
    return _unassimilated(
        windows, trajectory, _forecast(windows, "decoded background", decoded, model.step), observations
    )


def _unassimilated(
    windows: Sequence[Window], background: Tensor, analysis: Tensor, observations: Observations
) -> list[Analysis]:
    """Analyses that used no observation; their J is the fit J_o alone."""
    before = _hofx(windows, "background", background, observations)
    after = _hofx(windows, "analysis", analysis, observations)
    nothing = torch.zeros_like(before, dtype=torch.bool)
    found = fits(before, after, observations, nothing, GAUSSIAN, torch.full_like(before, torch.nan))
    costs = [observation_term(observations, hofx).tolist() for hofx in (before, after)]
    return [
        Analysis(window, background[i], analysis[i], found[i], Terms(0.0, costs[0][i]), Terms(0.0, costs[1][i]), False)
        for i, window in enumerate(windows)
    ]


def _checked(
    observations: Observations, hofx: Float[Tensor, "b p"], scheme: Scheme, background: Float[Tensor, "b k ..."]
) -> tuple[Observations, Bool[Tensor, "b p"], Float[Tensor, "b p"]]:
    """Observations that pass the background check, which were rejected, and σ_b of each datum."""
    nothing = torch.zeros_like(hofx, dtype=torch.bool)
    if scheme.background_draws is None:
        return observations, nothing, torch.full_like(hofx, torch.nan)
    with torch.no_grad():
        spread = scheme.background_draws.std(observations, background)
    if scheme.check_threshold is None:
        return observations, nothing, spread
    return *background_check(observations, hofx, spread, scheme.check_threshold), spread


@contextmanager
def _naming(windows: Sequence[Window]) -> Iterator[None]:
    """Puts the window, or all where members differ, before an error's own words."""
    try:
        yield
    except AssimilationError as error:
        raise AssimilationError(f"window {', '.join(dict.fromkeys(map(str, windows)))}: {error}") from error


def _encoded(windows: Sequence[Window], background: Tensor, model: Model) -> Float[Tensor, "b ..."]:
    """z_b = E(x_b), checked."""
    with torch.no_grad():
        latent = model.encode(background)
    for window, part in zip(windows, latent, strict=True):
        if not torch.isfinite(part).all():
            raise AssimilationError(f"window {window}: encoded background is not finite; check the autoencoder")
    return latent


def _forecast(windows: Sequence[Window], name: str, state: Tensor, step: Step) -> Float[Tensor, "b k ..."]:
    """The windows' trajectories from states, every slot checked."""
    with torch.no_grad():
        trajectory = integrate(step, state, times_of(windows))
    _require_finite(windows, name, trajectory)
    return trajectory


def _hofx(windows: Sequence[Window], name: str, trajectory: Tensor, observations: Observations) -> Float[Tensor, "b p"]:
    """H of trajectories; finite wherever a datum is present."""
    with torch.no_grad():
        hofx = observations.hofx(trajectory)
    bad = present(observations) & ~torch.isfinite(hofx)
    if bad.any():
        member, i = torch.nonzero(bad)[0].tolist()
        raise AssimilationError(
            f"window {windows[member]}: H({name}) of observation {i} is {hofx[member, i].item()}; check its place and "
            "operator"
        )
    return hofx


def _require_finite(windows: Sequence[Window], name: str, trajectories: Float[Tensor, "b k ..."]) -> None:
    """AssimilationError naming the first slot of a trajectory that is not finite."""
    for window, states in zip(windows, trajectories, strict=True):
        for time, state in zip(window.slots, states, strict=True):
            bad = int((~torch.isfinite(state)).sum())
            if bad:
                raise AssimilationError(
                    f"window {window}: {name} at {time} has {bad} values that are not finite;"
                    " check the previous analysis and the step's stability"
                )
