"""Problems that LARA and its peers solve side by side.

Linear-Gaussian (Ide et al. 1997, doi:10.2151/jmsj1965.75.1B_181): x_0 ~ N(x_b, B), x_{k+1} = M x_k, y_k = H x_k + ε_k,
ε_k ~ N(0, σ² I), whose analysis is

    x* = x_b + B Gᵀ (G B Gᵀ + σ² I)⁻¹ (y − G x_b),   G = (H M^k)_k

on a circle of n points, one apart: B is second-order autoregressive, of spectrum (1 + (Lκ)²)⁻² (Daley 1991, Atmospheric
Data Analysis, §4.3), M advects and diffuses, H interpolates linearly to p = n/4 random places.

Lorenz-96 (Lorenz and Emanuel 1998, doi:10.1175/1520-0469(1998)055<0399:OSFSWO>2.0.CO;2): n = 40 variables on a circle,

    dx_i/dt = (x_{i+1} − x_{i−2}) x_{i−1} − x_i + F,   F = 8,   0.05 units of time ≙ 6 h.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

LENGTH = 5.0  # of the background error correlation, points
COURANT, DIFFUSION = 1.5, 0.2  # of M, per step
ERROR_STD = 0.5  # of the observations, in units of the background's
SLOTS = 6  # observed slots of 4D-Var


@dataclass(frozen=True, eq=False)
class LinearGaussian:
    """One window. `value` holds y_k of the observed slots: slot 0 alone (3D-Var), or slots 1, 2, … (4D-Var).

    background: x_b. covariance: B. spectrum: eigenvalues of B at wavenumbers 0 … n/2. step: M. operator: H.
    """

    background: Float[np.ndarray, " n"]
    covariance: Float[np.ndarray, "n n"]
    spectrum: Float[np.ndarray, " m"]
    step: Float[np.ndarray, "n n"]
    operator: Float[np.ndarray, "p n"]
    value: Float[np.ndarray, "k p"]
    error_std: float
    first: int

    def save(self, path: Path) -> None:
        """Write every field, and the answer."""
        np.savez(path, answer=self.answer(), **vars(self))

    @classmethod
    def random(cls, n: int, slots: int, seed: int = 0) -> LinearGaussian:
        """A window of `slots` observed slots after the first, 3D-Var where `slots` is 0; its truth is drawn from B."""
        random, wavenumber = np.random.default_rng(seed), 2 * np.pi * np.fft.rfftfreq(n)
        spectrum = (1 + (LENGTH * wavenumber) ** 2) ** -2.0
        spectrum *= n / circulant(spectrum).trace()
        step = circulant(np.exp(-1j * COURANT * wavenumber - DIFFUSION * wavenumber**2))
        operator = interpolation(random.uniform(0, n, n // 4), n)
        background, first = random.standard_normal(n), int(slots > 0)
        blank = np.zeros((max(slots, 1), n // 4))
        problem = cls(background, circulant(spectrum), spectrum, step, operator, blank, ERROR_STD, first)
        truth = background + circulant(np.sqrt(spectrum)) @ random.standard_normal(n)
        noise = ERROR_STD * random.standard_normal(blank.size)
        blank += (problem.composed() @ truth + noise).reshape(blank.shape)
        return problem

    @property
    def slots(self) -> int:
        """Number of slots of the window, observed or not."""
        return self.first + len(self.value)

    def composed(self) -> Float[np.ndarray, "kp n"]:
        """G, all observations as functions of x_0."""
        rows = [self.operator @ self.step if self.first else self.operator]
        for _ in range(len(self.value) - 1):
            rows.append(rows[-1] @ self.step)
        return np.concatenate(rows)

    def answer(self) -> Float[np.ndarray, " n"]:
        """The analysis x*."""
        composed = self.composed()
        cross = self.covariance @ composed.T
        total = composed @ cross + self.error_std**2 * np.eye(len(composed))
        innovation = self.value.ravel() - composed @ self.background
        return self.background + cross @ np.linalg.solve(total, innovation)

    def error(self, analysis: Float[np.ndarray, " n"]) -> float:
        """|x − x*| / |x* − x_b|."""
        answer = self.answer()
        return float(np.linalg.norm(analysis - answer) / np.linalg.norm(answer - self.background))


def circulant(transfer: np.ndarray) -> Float[np.ndarray, "n n"]:
    """The real matrix that multiplies wavenumber j of the circle by transfer_j, j = 0 … n/2."""
    column = np.fft.irfft(transfer)
    return column[np.subtract.outer(np.arange(len(column)), np.arange(len(column))) % len(column)]


def interpolation(places: Float[np.ndarray, " p"], n: int) -> Float[np.ndarray, "p n"]:
    """Linear interpolation from the points 0 … n − 1 of a circle."""
    rows, left = np.arange(len(places)), places.astype(int)
    matrix = np.zeros((len(places), n))
    matrix[rows, left] = 1 - (places - left)
    matrix[rows, (left + 1) % n] += places - left
    return matrix


def lorenz96_tendency(x: Float[Tensor, "... n"], forcing: float = 8.0, damping: float = 1.0) -> Float[Tensor, "... n"]:
    """dx/dt on the last axis; without forcing and damping it conserves Σ x²."""
    return (x.roll(-1, -1) - x.roll(2, -1)) * x.roll(1, -1) - damping * x + forcing


def lorenz96(x: Float[Tensor, "... n"], dt: float = 0.05) -> Float[Tensor, "... n"]:
    """One Runge–Kutta step of order 4."""
    a = lorenz96_tendency(x)
    b = lorenz96_tendency(x + dt / 2 * a)
    c = lorenz96_tendency(x + dt / 2 * b)
    d = lorenz96_tendency(x + dt * c)
    return x + dt / 6 * (a + 2 * b + 2 * c + d)


@dataclass(frozen=True, eq=False)
class Twin:
    """A truth of Lorenz-96, x_0 … x_K, and y_k = x_k + ε_k of every variable at k = 1 … K, ε_k ~ N(0, σ² I).

    first: the mean of what is known of x_0.
    """

    truth: Float[np.ndarray, "k_1 n"]
    value: Float[np.ndarray, "k n"]
    first: Float[np.ndarray, " n"]
    error_std: float = 1.0

    @classmethod
    def load(cls, path: Path) -> Twin:
        """As written by `dapper_runner.py`."""
        with np.load(path) as saved:
            return cls(saved["truth"], saved["value"], saved["first"], float(saved["error_std"]))

    @classmethod
    def random(cls, steps: int, seed: int, n: int = 40) -> Twin:
        """The set-up of Sakov and Oke (2008, doi:10.1175/2007MWR2021.1) as DAPPER has it: x_0 near (1, 0, 0, …)."""
        random, first = np.random.default_rng(seed), np.eye(n)[0]
        states = [torch.from_numpy(first + np.sqrt(0.001) * random.standard_normal(n))]
        for _ in range(steps):
            states.append(lorenz96(states[-1]))
        truth = torch.stack(states).numpy()
        return cls(truth, truth[1:] + random.standard_normal((steps, n)), first)
