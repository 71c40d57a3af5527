"""Problems with a known answer: linear-Gaussian windows (BLUE, Kalman filter) and the Lorenz-96 atmosphere.

Lorenz & Emanuel (1998), J. Atmos. Sci. 55, 399–414: dx_i/dt = (x_{i+1} − x_{i−2}) x_{i−1} − x_i + 8, 40
variables, 0.05 ≙ 6 h. The first axis counts independent windows; they share the model, as real ones do.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from lara.assimilation.control import DiagonalControl
from lara.assimilation.cost import CostFunction
from lara.assimilation.trajectory import StrongConstraint, autonomous, integrate
from lara.peers.problems import lorenz96

lorenz96_step = autonomous(lorenz96)


def clock(members: int, slots: int) -> np.ndarray:
    """Valid times (b, k) for models that do not know the time."""
    return np.tile(np.datetime64("2001-01-01", "ns") + np.arange(slots) * np.timedelta64(6, "h"), (members, 1))


def generator(seed: int) -> torch.Generator:
    """A generator of its own for every test."""
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int) -> Tensor:
    """Standard normal float64 numbers."""
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def everyone(members: int) -> list[Tensor]:
    """Each member alone, for `select`."""
    return [torch.tensor([i]) for i in range(members)]


def answered(search: Generator[Any, Any, Any], answer: Callable[[Any], Any]) -> Any:
    """What a coroutine returns when all its requests are answered."""
    try:
        request = next(search)
        while True:
            request = search.send(answer(request))
    except StopIteration as end:
        return end.value


@dataclass(frozen=True, eq=False)
class Separate:
    """A problem whose windows have functions χ ↦ (J, ∇J) of their own, without curvature."""

    functions: tuple[Callable[[Tensor], tuple[float, Tensor]], ...]

    def value_and_gradient(self, chi: Tensor) -> tuple[Tensor, Tensor]:
        """J and ∇J of each."""
        values, gradients = zip(*(f(x) for f, x in zip(self.functions, chi, strict=True)), strict=True)
        return torch.tensor(values, dtype=torch.float64), torch.stack(gradients)

    def select(self, members: Tensor) -> "Separate":
        """Some of them."""
        return Separate(tuple(self.functions[i] for i in members.tolist()))


@dataclass(frozen=True, eq=False)
class ToyObservations:
    """What the toys' observations share: y and σ (b, p), slots, and how members are chosen and data refused."""

    value: Tensor
    error_std: Tensor
    slot: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same change to every field."""
        return replace(self, **{field.name: change(getattr(self, field.name)) for field in fields(self)})

    def select(self, members: Tensor) -> Self:
        """Some of the windows."""
        return self.each(lambda field: field[members])

    def keep(self, data: Tensor) -> Self:
        """Some of the data of every window."""
        return self.each(lambda field: field[:, data])

    def to(self, dtype: torch.dtype) -> Self:
        """Other precision."""
        return self.each(lambda field: field.to(dtype) if field.is_floating_point() else field)

    def without(self, rejected: Tensor) -> Self:
        """The same with an infinite error where rejected."""
        return replace(self, error_std=self.error_std.masked_fill(rejected, torch.inf))


@dataclass(frozen=True, eq=False)
class LinearObservations(ToyObservations):
    """y_i = rows_i · x_{slot_i}, rows (b, p, n)."""

    rows: Tensor

    def hofx(self, trajectory: Tensor) -> Tensor:
        """(b, p) from (b, k, n)."""
        at = self.slot[..., None].expand(-1, -1, trajectory.shape[-1])
        return (self.rows * trajectory.gather(1, at)).sum(-1)


@dataclass(frozen=True, eq=False)
class PointObservations(ToyObservations):
    """y_i = x_{slot_i}[index_i]."""

    index: Tensor

    def hofx(self, trajectory: Tensor) -> Tensor:
        """(b, p) from (b, k, n)."""
        return trajectory.flatten(1).gather(1, self.slot * trajectory.shape[-1] + self.index)


@dataclass(frozen=True, eq=False)
class LinearGaussian:
    """z ~ N(z_b, diag(variance)), x_0 = D z, x_{k+1} = M x_k, y_i ~ N(rows_i · x_{slot_i}, σ_i²).

    background, variance: (b, l). decode (n, l) and step (n, n) are common to all windows.
    """

    background: Tensor
    variance: Tensor
    decode: Tensor
    step: Tensor
    slots: int
    observations: LinearObservations

    @classmethod
    def random(
        cls, seed: int = 0, latent: int = 8, state: int = 12, slots: int = 3, per_slot: int = 6, members: int = 1
    ):
        """Problems with truths drawn from their own B and R."""
        p = slots * per_slot
        decode = normal(state, latent, seed=seed) / latent**0.5
        step = torch.linalg.qr(normal(state, state, seed=seed + 1))[0] * 1.05
        background, variance = normal(members, latent, seed=seed + 2), normal(members, latent, seed=seed + 3).exp()
        slot = torch.arange(slots).repeat_interleave(per_slot).repeat(members, 1)
        error = (0.3 * normal(members, p, seed=seed + 4)).exp() * 0.5
        rows = normal(members, p, state, seed=seed + 5) / state**0.5
        observations = LinearObservations(torch.zeros_like(error), error, slot, rows)
        return cls(background, variance, decode, step, slots, observations).redrawn(seed + 6)

    def repeated(self, members: int) -> "LinearGaussian":
        """The only window so many times."""
        return self.select(torch.zeros(members, dtype=torch.long))

    def select(self, members: Tensor) -> "LinearGaussian":
        """Some of the windows."""
        background, variance = self.background[members], self.variance[members]
        return replace(self, background=background, variance=variance, observations=self.observations.select(members))

    def redrawn(self, seed: int) -> "LinearGaussian":
        """The same problems with new truths and new observation errors."""
        truth = self.background + self.variance.sqrt() * normal(*self.background.shape, seed=seed)
        noise = self.observations.error_std * normal(*self.observations.value.shape, seed=seed + 100_000)
        return self.observing(self.hofx(truth) + noise)

    def observing(self, value: Tensor, error_std: Tensor | None = None) -> "LinearGaussian":
        """The same problems with other data."""
        old = self.observations
        error_std = old.error_std if error_std is None else error_std
        return replace(self, observations=replace(old, value=value, error_std=error_std))

    def decoded(self, latent: Tensor) -> Tensor:
        """x = D z."""
        return latent @ self.decode.T

    def encoded(self, state: Tensor) -> Tensor:
        """z = D⁺ x."""
        return state @ torch.linalg.pinv(self.decode).T

    def stepped(self, state: Tensor, _: np.ndarray | None = None) -> Tensor:
        """M x, at any time."""
        return state @ self.step.T

    def hofx(self, latent: Tensor) -> Tensor:
        """G z, (b, p)."""
        return (self.operator() @ latent[..., None])[..., 0]

    def operator(self) -> Tensor:
        """G with H(x(z)) = G z, (b, p, l)."""
        powers = torch.stack([torch.linalg.matrix_power(self.step, k) @ self.decode for k in range(self.slots)])
        return torch.einsum("bpn,bpnl->bpl", self.observations.rows, powers[self.observations.slot])

    def strong(self) -> StrongConstraint:
        """χ ↦ x_0 … x_{k−1}."""
        control, times = DiagonalControl(self.variance), clock(len(self.background), self.slots)
        return StrongConstraint(self.background, control, self.decoded, self.stepped, times)

    def cost(self) -> CostFunction:
        """J of the problems."""
        return CostFunction(self.strong(), self.observations)

    def scaled_operator(self) -> Tensor:
        """G' = R^{−½} G B^½, (b, p, l)."""
        return self.operator() * self.variance.sqrt()[:, None] / self.observations.error_std[..., None]

    def blue(self) -> Tensor:
        """z_b + B Gᵀ (G B Gᵀ + R)⁻¹ (y − G z_b), the best linear unbiased estimates."""
        g, b = self.operator(), torch.diag_embed(self.variance)
        innovation = self.observations.value - self.hofx(self.background)
        total = g @ b @ g.mT + torch.diag_embed(self.observations.error_std**2)
        return self.background + (b @ g.mT @ torch.linalg.solve(total, innovation[..., None]))[..., 0]

    def filtered(self) -> Tensor:
        """States at the last slot by the Kalman filter in model space, slot after slot."""
        return torch.stack([self.select(member)._filtered() for member in everyone(len(self.background))])

    def _filtered(self) -> Tensor:
        mean, covariance = (
            self.decode @ self.background[0],
            self.decode @ torch.diag(self.variance[0]) @ self.decode.T,
        )
        value, errors, slots, every_row = (field[0] for field in vars(self.observations).values())
        for slot in range(self.slots):
            if slot:
                mean, covariance = self.step @ mean, self.step @ covariance @ self.step.T
            rows, error = every_row[slots == slot], errors[slots == slot]
            gain = torch.linalg.solve(rows @ covariance @ rows.T + torch.diag(error**2), rows @ covariance).T
            mean = mean + gain @ (value[slots == slot] - rows @ mean)
            covariance = covariance - gain @ rows @ covariance
        return mean


def lorenz96_run(steps: int, seed: int = 0, members: int = 1, n: int = 40) -> Tensor:
    """Trajectories on the attractor, (members, steps, n), after a spin-up of 250 days."""
    x = 8.0 + normal(members, n, seed=seed)
    for _ in range(1000):
        x = lorenz96(x)
    return integrate(lorenz96_step, x, clock(members, steps))


def observe(truth: Tensor, error_std: float, seed: int, every: int = 1) -> PointObservations:
    """Every `every`-th variable of each state of trajectories (b, k, n), with Gaussian errors."""
    b, k, n = truth.shape
    index = torch.arange(0, n, every)
    values = truth[..., index] + error_std * normal(b, k, len(index), seed=seed).to(truth)
    return PointObservations(
        values.flatten(1),
        torch.full_like(values, error_std).flatten(1),
        torch.arange(k).repeat_interleave(len(index)).repeat(b, 1),
        index.repeat(b, k),
    )


def lorenz_windows(
    members: int = 1, slots: int = 8, error: float = 1.0, dtype: torch.dtype = torch.float64
) -> CostFunction:
    """4D-Var windows of Lorenz-96 whose backgrounds are wrong by `error`, every second variable observed with σ = 1."""
    truth = lorenz96_run(slots, seed=3, members=members)
    background = truth[:, 0] + error * normal(members, 40, seed=5)
    control = DiagonalControl(torch.full((1, 40), error**2, dtype=dtype))
    observations = observe(truth, 1.0, seed=4, every=2).to(dtype)
    times = clock(members, slots)
    return CostFunction(StrongConstraint(background.to(dtype), control, _same, lorenz96_step, times), observations)


def _same(latent: Tensor) -> Tensor:
    return latent
