"""Problems with a known answer: a linear-Gaussian window (BLUE, Kalman filter) and the Lorenz-96 atmosphere.

Lorenz & Emanuel (1998), J. Atmos. Sci. 55, 399–414: dx_i/dt = (x_{i+1} − x_{i−2}) x_{i−1} − x_i + 8, 40
variables, 0.05 ≙ 6 h.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lara.assimilation.control import DiagonalControl
from lara.assimilation.cost import CostFunction


def generator(seed: int) -> torch.Generator:
    """A generator of its own for every test."""
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int) -> Tensor:
    """Standard normal float64 numbers."""
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class LinearObservations:
    """y_i = rows_i · x_{slot_i}."""

    value: Tensor
    error_std: Tensor
    slot: Tensor
    rows: Tensor

    def hofx(self, trajectory: Tensor) -> Tensor:
        """(p,) from (k, n)."""
        return (self.rows * trajectory[self.slot]).sum(-1)


@dataclass(frozen=True, eq=False)
class LinearGaussian:
    """z ~ N(z_b, diag(variance)), x_0 = D z, x_{k+1} = M x_k, y_i ~ N(rows_i · x_{slot_i}, σ_i²)."""

    background: Tensor
    variance: Tensor
    decode: Tensor
    step: Tensor
    slots: int
    observations: LinearObservations

    @classmethod
    def random(cls, seed: int = 0, latent: int = 8, state: int = 12, slots: int = 3, per_slot: int = 6):
        """A problem with its own truth drawn from its own B and R."""
        p = slots * per_slot
        decode = normal(state, latent, seed=seed) / latent**0.5
        step = torch.linalg.qr(normal(state, state, seed=seed + 1))[0] * 1.05
        background, variance = normal(latent, seed=seed + 2), normal(latent, seed=seed + 3).exp()
        slot = torch.arange(slots).repeat_interleave(per_slot)
        error = (0.3 * normal(p, seed=seed + 4)).exp() * 0.5
        rows = normal(p, state, seed=seed + 5) / state**0.5
        problem = cls(
            background,
            variance,
            decode,
            step,
            slots,
            LinearObservations(torch.zeros(p).double(), error, slot, rows),
        )
        return problem.redrawn(seed + 6)

    def redrawn(self, seed: int) -> "LinearGaussian":
        """The same problem with a new truth and new observation errors."""
        truth = self.background + self.variance.sqrt() * normal(len(self.background), seed=seed)
        noise = self.observations.error_std * normal(len(self.observations.value), seed=seed + 100_000)
        return self.observing(self.operator() @ truth + noise)

    def observing(self, value: Tensor, error_std: Tensor | None = None) -> "LinearGaussian":
        """The same problem with other data."""
        old = self.observations
        new = LinearObservations(value, old.error_std if error_std is None else error_std, old.slot, old.rows)
        return LinearGaussian(self.background, self.variance, self.decode, self.step, self.slots, new)

    def operator(self) -> Tensor:
        """G with H(x(z)) = G z, (p, latent)."""
        powers = torch.stack([torch.linalg.matrix_power(self.step, k) @ self.decode for k in range(self.slots)])
        return torch.einsum("pn,pnl->pl", self.observations.rows, powers[self.observations.slot])

    def cost(self) -> CostFunction:
        """J of the problem."""
        return CostFunction(
            self.background,
            DiagonalControl(self.variance),
            lambda z: self.decode @ z,
            lambda x: self.step @ x,
            self.slots,
            self.observations,
        )

    def blue(self) -> Tensor:
        """z_b + B Gᵀ (G B Gᵀ + R)⁻¹ (y − G z_b), the best linear unbiased estimate."""
        g, b = self.operator(), torch.diag(self.variance)
        innovation = self.observations.value - g @ self.background
        total = g @ b @ g.T + torch.diag(self.observations.error_std**2)
        return self.background + b @ g.T @ torch.linalg.solve(total, innovation)

    def filtered(self) -> Tensor:
        """State at the last slot by the Kalman filter in model space, slot after slot."""
        mean, covariance = (
            self.decode @ self.background,
            self.decode @ torch.diag(self.variance) @ self.decode.T,
        )
        for slot in range(self.slots):
            if slot:
                mean, covariance = self.step @ mean, self.step @ covariance @ self.step.T
            here = self.observations.slot == slot
            rows, error = self.observations.rows[here], self.observations.error_std[here]
            gain = torch.linalg.solve(rows @ covariance @ rows.T + torch.diag(error**2), rows @ covariance).T
            mean = mean + gain @ (self.observations.value[here] - rows @ mean)
            covariance = covariance - gain @ rows @ covariance
        return mean


@dataclass(frozen=True, eq=False)
class PointObservations:
    """y_i = x_{slot_i}[index_i]."""

    value: Tensor
    error_std: Tensor
    slot: Tensor
    index: Tensor

    def hofx(self, trajectory: Tensor) -> Tensor:
        """(p,) from (k, n)."""
        return trajectory[self.slot, self.index]


def lorenz96_tendency(x: Tensor) -> Tensor:
    """dx/dt on the last axis."""
    return (x.roll(-1, -1) - x.roll(2, -1)) * x.roll(1, -1) - x + 8.0


def lorenz96(x: Tensor, dt: float = 0.05) -> Tensor:
    """One Runge–Kutta step of order 4, 6 h."""
    a = lorenz96_tendency(x)
    b = lorenz96_tendency(x + dt / 2 * a)
    c = lorenz96_tendency(x + dt / 2 * b)
    d = lorenz96_tendency(x + dt * c)
    return x + dt / 6 * (a + 2 * b + 2 * c + d)


def lorenz96_run(steps: int, seed: int = 0, n: int = 40) -> Tensor:
    """A trajectory on the attractor, (steps, n), after a spin-up of 250 days."""
    x = 8.0 + normal(n, seed=seed)
    for _ in range(1000):
        x = lorenz96(x)
    states = [x]
    for _ in range(steps - 1):
        states.append(lorenz96(states[-1]))
    return torch.stack(states)


def observe(truth: Tensor, error_std: float, seed: int, every: int = 1) -> PointObservations:
    """Every `every`-th variable of each state of a trajectory (k, n), with Gaussian errors."""
    k, n = truth.shape
    index = torch.arange(0, n, every)
    values = truth[:, index] + error_std * normal(k, len(index), seed=seed)
    return PointObservations(
        values.flatten(),
        torch.full((values.numel(),), error_std, dtype=truth.dtype),
        torch.arange(k).repeat_interleave(len(index)),
        index.repeat(k),
    )
