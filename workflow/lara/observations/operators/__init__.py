"""Observation operators: what a state gives in place of an observation, H(x), one file per type of observation.

A type is a module that meets `Operator`. An operator of wind speed, for example, would name its variable in VARIABLES,
`place` its rows at the grid points around each site, give (u² + v² + ε)^½ there in `hofx`, and in `spread` the larger
of the errors of u and v. A station type of the observation table is then a row of `KINDS`.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from lara.grid import Grid
from lara.observations.operators import interpolation
from lara.state import Channels

Rows = Mapping[str, Tensor]  # by name (b, q, …): what an operator needs of q rows of each of b windows


class Operator(Protocol):
    """The observation operator H of one type of observation."""

    @property
    def VARIABLES(self) -> Mapping[str, bool]:
        """Variables it observes, and whether a row of each has a pressure."""

    def place(self, rows: pd.DataFrame, grid: Grid, channels: Channels) -> dict[str, np.ndarray]:
        """What H needs of every row of a table (q, …). ValueError for a row that the state has nothing to say about.

        Rows of shorter windows are padded with zeros: H is evaluated for these, and goes nowhere.
        """

    def hofx(self, states: Float[Tensor, "b slot channel lat lon"], rows: Rows) -> Float[Tensor, "b q"]:
        """H(x) of the rows in the units of their values, differentiable twice, of padding too.

        `rows` holds what `place` gave, and `slot` (b, q), the position of each row's time among the states.
        """

    def spread(self, std: Float[Tensor, "slot channel"], rows: Rows) -> Float[Tensor, "b q"]:
        """Standard error of H(x) where the channels of a state have independent errors of so many SI units."""


KINDS: dict[str, Operator] = {"surface": interpolation, "column": interpolation}  # by station type of the table


def observed_variables() -> list[str]:
    """Variables that some station type observes."""
    return list(dict.fromkeys(name for operator in KINDS.values() for name in operator.VARIABLES))
