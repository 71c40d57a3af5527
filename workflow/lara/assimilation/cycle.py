"""One analysis, and a sequence of them: the next background is the forecast from the window's last analysis.

    analysis_j = x_j(χ_a),  χ_a = argmin J,       background_{w+1} = M(analysis_{k−1} of window w)

A method is a callable (window, background, observations) → Analysis. Three exist: `assimilate` (latent with a
model's encode and decode, model space with the identity) and the controls `free` and `autoencoder_only`,
which use no observation but report their fit to them. Bind their other arguments with `functools.partial`.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lara.assimilation import AssimilationError
from lara.assimilation.control import Control
from lara.assimilation.cost import (
    CostFunction,
    Map,
    Observations,
    increment_form,
    integrate,
    observation_term,
    present,
)
from lara.assimilation.minimise import LBFGS, Minimum, minimise
from lara.assimilation.window import Window


def identity(state: Tensor) -> Tensor:
    """Encode and decode of model space."""
    return state


@dataclass(frozen=True)
class Model:
    """The callables step x_k ↦ x_{k+1}, encode x ↦ z and decode z ↦ x, with x in SI units.

    Model space leaves encode and decode the identity. increment_form: decode to x_b + D(z) − D(z_b).
    """

    step: Map
    encode: Map = identity
    decode: Map = identity
    increment_form: bool = False

    def decoder(self, latent: Float[Tensor, "..."], state: Float[Tensor, "..."]) -> Map:
        """The map z ↦ x_0 around the background z_b, x_b."""
        return increment_form(self.decode, latent, state) if self.increment_form else self.decode


@dataclass(frozen=True)
class Terms:
    """J_b and J_o; `total` is J."""

    background: float
    observations: float

    @property
    def total(self) -> float:
        """J = J_b + J_o."""
        return self.background + self.observations


@dataclass(frozen=True, eq=False)
class Analysis:
    """One window's background and analysis.

    background, analysis: trajectories of x at the window's slots. hofx_…: H of each, one per datum, missing
    or not. start, end: J at χ = 0 and at the analysis. used: p, the number of data that are not missing.
    minimum: None for a method that assimilates nothing, and then J is only the fit to the data.
    """

    window: Window
    background: Float[Tensor, "k ..."]
    analysis: Float[Tensor, "k ..."]
    hofx_background: Float[Tensor, " p"]
    hofx_analysis: Float[Tensor, " p"]
    start: Terms
    end: Terms
    used: int
    minimum: Minimum | None = None

    @property
    def health(self) -> dict[str, object]:
        """One row of the health ledger; 2J/p is near 1 at a minimum when B and R are right, NaN without a minimum."""
        least = self.minimum
        return {
            "begin": self.window.begin,
            "J_start": self.start.total,
            "J_end": self.end.total,
            "Jb_start": self.start.background,
            "Jb_end": self.end.background,
            "Jo_start": self.start.observations,
            "Jo_end": self.end.observations,
            "gradient_norm_start": least.start_gradient_norm if least else math.nan,
            "gradient_norm_end": least.gradient_norm if least else math.nan,
            "evaluations": least.evaluations if least else 0,
            "iterations": least.iterations if least else 0,
            "reason": str(least.reason) if least else "no observations assimilated",
            "p": self.used,
            "2J/p": 2 * self.end.total / self.used if least and self.used else math.nan,
        }


Method = Callable[[Window, Tensor, Observations], Analysis]


def cycle(
    windows: Iterable[Window],
    background: Float[Tensor, "..."],
    observations_of: Callable[[Window], Observations],
    method: Method,
    step: Map,
) -> Iterator[Analysis]:
    """Analyses of consecutive windows, the first from `background` (x_b at the first window's begin).

    To resume, start at the next window from `next_background` of the last analysis: the result is the same to
    the bit.
    """
    for window in windows:
        analysis = method(window, background, observations_of(window))
        yield analysis
        background = next_background(analysis.analysis, step)


def next_background(analysis: Float[Tensor, "k ..."], step: Map) -> Float[Tensor, "..."]:
    """x_b at the window's end: the forecast from the last analysis state."""
    with torch.no_grad():
        return step(analysis[-1])


def assimilate(
    window: Window,
    background: Float[Tensor, "..."],
    observations: Observations,
    model: Model,
    control: Control,
    settings: LBFGS,
) -> Analysis:
    """Variational analysis of one window from x_b at its begin; without any datum it is χ = 0 exactly.

    The background trajectory is the forecast from x_b itself, not from D(E(x_b)).
    Raises AssimilationError naming the window and what is not finite.
    """
    first_guess = _forecast(window, "background", background, model.step)
    hofx_background = _hofx(window, "background", first_guess, observations)
    latent = _encoded(window, background, model)
    try:
        cost = CostFunction(latent, control, model.decoder(latent, background), model.step, window.count, observations)
        minimum = minimise(cost.value_and_gradient, control.zeros(), settings)
    except AssimilationError as error:
        raise AssimilationError(f"window {window}: {error}") from error
    with torch.no_grad():
        analysis = cost.trajectory(minimum.argument)
        background_term = 0.5 * float(minimum.argument.double().square().sum())
    _require_finite(window, "analysis", analysis)
    return Analysis(
        window=window,
        background=first_guess,
        analysis=analysis,
        hofx_background=hofx_background,
        hofx_analysis=_hofx(window, "analysis", analysis, observations),
        start=Terms(0.0, minimum.start_value),
        end=Terms(background_term, minimum.value - background_term),
        used=int(present(observations).sum()),
        minimum=minimum,
    )


def free(window: Window, background: Float[Tensor, "..."], observations: Observations, model: Model) -> Analysis:
    """The background trajectory as the analysis: a run without observations."""
    trajectory = _forecast(window, "background", background, model.step)
    return _unassimilated(window, trajectory, trajectory, observations)


def autoencoder_only(
    window: Window, background: Float[Tensor, "..."], observations: Observations, model: Model
) -> Analysis:
    """The trajectory from D(E(x_b)) as the analysis: what the autoencoder does without observations."""
    trajectory = _forecast(window, "background", background, model.step)
    latent = _encoded(window, background, model)
    with torch.no_grad():
        decoded = model.decode(latent)
    analysis = _forecast(window, "decoded background", decoded, model.step)
    return _unassimilated(window, trajectory, analysis, observations)


def _unassimilated(window: Window, background: Tensor, analysis: Tensor, observations: Observations) -> Analysis:
    """An analysis that used no observation; its J is the fit J_o alone."""
    before = _hofx(window, "background", background, observations)
    after = _hofx(window, "analysis", analysis, observations)
    start, end = (Terms(0.0, float(observation_term(observations, hofx))) for hofx in (before, after))
    used = int(present(observations).sum())
    return Analysis(window, background, analysis, before, after, start, end, used)


def _encoded(window: Window, background: Tensor, model: Model) -> Float[Tensor, "..."]:
    """z_b = E(x_b), checked."""
    with torch.no_grad():
        latent = model.encode(background)
    if not torch.isfinite(latent).all():
        raise AssimilationError(f"window {window}: encoded background is not finite; check the autoencoder")
    return latent


def _forecast(window: Window, name: str, state: Tensor, step: Map) -> Float[Tensor, "k ..."]:
    """The window's trajectory from a state, every slot checked."""
    with torch.no_grad():
        trajectory = integrate(step, state, window.count)
    _require_finite(window, name, trajectory)
    return trajectory


def _hofx(window: Window, name: str, trajectory: Tensor, observations: Observations) -> Float[Tensor, " p"]:
    """H of a trajectory; finite wherever a datum is present."""
    with torch.no_grad():
        hofx = observations.hofx(trajectory)
    bad = present(observations) & ~torch.isfinite(hofx)
    if bad.any():
        i = int(torch.nonzero(bad)[0])
        raise AssimilationError(
            f"window {window}: H({name}) of observation {i} is {hofx[i].item()}; check its place and operator"
        )
    return hofx


def _require_finite(window: Window, name: str, trajectory: Float[Tensor, "k ..."]) -> None:
    """AssimilationError naming the first slot of a trajectory that is not finite."""
    for time, state in zip(window.slots, trajectory, strict=True):
        bad = int((~torch.isfinite(state)).sum())
        if bad:
            raise AssimilationError(
                f"window {window}: {name} at {time} has {bad} values that are not finite;"
                " check the previous analysis and the step's stability"
            )
