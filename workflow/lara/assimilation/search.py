"""Descent methods: coroutines that yield requests, so that many advance in one batch.

For example L-BFGS yields `Evaluate(χ)` at every step of its line search. A method works on one χ: it yields `Evaluate`,
`Linearise` or `Multiply` and is sent the answer. `minimise` gathers the requests of all windows, answers each kind in
one batch, and throws `LimitReached` where no evaluation is left. Each window has its own line search, history and stop.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor


class Reason(StrEnum):
    """Why a minimisation stopped."""

    GRADIENT = "gradient tolerance reached"
    DECREASE = "relative decrease below tolerance"
    LIMIT = "evaluation limit reached"
    SEARCH = "line search failed"
    NOTHING = "nothing to minimise"
    DONE = "all steps taken"


@dataclass(frozen=True, eq=False)
class Evaluate:
    """Asks for the `Point` at χ."""

    argument: Float[Tensor, "..."]


@dataclass(frozen=True, eq=False)
class Linearise:
    """Asks for the `Point` at χ and makes χ the place of later products."""

    argument: Float[Tensor, "..."]


@dataclass(frozen=True, eq=False)
class Multiply:
    """Asks for the Gauss–Newton curvature of J_o times v, G'ᵀ W G' v."""

    direction: Float[Tensor, "..."]


@dataclass(frozen=True, eq=False)
class Point:
    """χ with J and ∇J; J = ∞ where either is not finite."""

    argument: Float[Tensor, "..."]
    value: float
    gradient: Float[Tensor, "..."]

    @property
    def norm(self) -> float:
        """|∇J|."""
        return math.sqrt(dot(self.gradient, self.gradient))


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a search ended; `memory` is what the next one of its kind may start from."""

    iterations: int
    reason: Reason
    memory: Any = None


class LimitReached(Exception):
    """No evaluation is left."""


Request = Evaluate | Linearise | Multiply
Search = Generator[Request, Any, Outcome]


class Descent(Protocol):
    """A descent method: a way from a first point to the minimum."""

    @property
    def evaluations(self) -> int:
        """Most evaluations of J and ∇J."""

    def search(self, first: Point, memory: Any = None) -> Search:
        """The coroutine that descends; `memory` is of an earlier search of the same method, or None."""


@dataclass(frozen=True)
class Tolerance:
    """Stop when |∇J| has fallen to `gradient` of its start, or an iteration lowers J by less than `decrease` of it."""

    gradient: float = 1e-3
    decrease: float = 1e-5

    def reached(self, first: Point, previous: Point, current: Point) -> Reason | None:
        """Why to stop at `current`, None to go on."""
        if current.norm <= self.gradient * first.norm:
            return Reason.GRADIENT
        if previous.value - current.value <= self.decrease * abs(previous.value):
            return Reason.DECREASE
        return None


def require_positive(owner: str, **counts: int) -> None:
    """ValueError for a count below 1."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{owner} {name} = {count}; give at least 1")


def dot(a: Float[Tensor, "..."], b: Float[Tensor, "..."]) -> float:
    """aᵀb, accumulated in float64."""
    return float(torch.dot(a.flatten().double(), b.flatten().double()))
