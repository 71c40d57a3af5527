"""Balance: the part of each control variable that regression predicts from those before it, row by row of the grid.

    x_g = r_g + Σ_{p before g} R_gp(φ) r_p,   R(φ) = ⟨x_g rᵀ⟩ (⟨r rᵀ⟩ + ε diag⟨r rᵀ⟩)⁻¹,   x = K(φ) r,   r = K(φ)⁻¹ x

x are the fields of a state with wind replaced by ψ and χ, r their unbalanced parts, ⟨⟩ the mean over samples and
longitudes at latitude φ, and over rows nearby. Order: ψ, χ, mass (z, msl), temperature, humidity; each group is
predicted from all before it, as in `cv_options=6` of WRFDA (Chen et al. 2013, doi:10.1007/s00703-013-0251-y).
Parrish and Derber
(1992, doi:10.1175/1520-0493(1992)120<1747:TNMCSS>2.0.CO;2), Derber and Bouttier (1999,
doi:10.3402/tellusa.v51i2.12316), Barker et al. (2004, doi:10.1175/1520-0493(2004)132<0897:ATVDAS>2.0.CO;2).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lara.covariance.harmonics import Harmonics
from lara.state import Channel, Channels

_MEMBERS = {"mass": ("z", "msl"), "temperature": ("t", "t2m"), "humidity": ("q",)}
_WIND = (("u", "v"), ("u10", "v10"))  # eastward and northward component


@dataclass(frozen=True)
class Fields:
    """The fields a state is made of, ordered for balance: ψ, χ at every level with wind, mass, temperature, humidity.

    As many fields as channels. Raises ValueError for one wind component without the other.
    """

    channels: Channels

    def __post_init__(self) -> None:
        for pair in _WIND:
            for name, other in (pair, pair[::-1]):
                self._require_pairs(name, other)

    @cached_property
    def east(self) -> list[int]:
        """Channels of eastward wind: levels, then 10 m."""
        return [position for u, _ in _WIND for position in self._positions(u)]

    @cached_property
    def north(self) -> list[int]:
        """Channels of northward wind at the places of `east`."""
        partner = dict(_WIND)
        wind = [self.channels.channels[position] for position in self.east]
        return [self.channels.index(partner[channel.variable], channel.level) for channel in wind]

    @cached_property
    def groups(self) -> dict[str, tuple[int, int]]:
        """First field and the one after the last of every group that has members, in the order of balance."""
        sizes = {"psi": len(self.east), "chi": len(self.north)}
        sizes |= {group: len(self._members(group)) for group in _MEMBERS}
        ends = np.cumsum(list(sizes.values())).tolist()
        return {group: (end - size, end) for (group, size), end in zip(sizes.items(), ends, strict=True) if size}

    @cached_property
    def scalars(self) -> list[int]:
        """Channels of the fields that follow ψ and χ."""
        return [position for group in _MEMBERS for position in self._members(group)]

    @cached_property
    def names(self) -> list[str]:
        """Names of the fields, "psi500", "chi10" or that of the channel."""
        levels = [self.channels.channels[position].level or 10 for position in self.east]
        scalars = [self.channels.names[position] for position in self.scalars]
        return [f"{potential}{level}" for potential in ("psi", "chi") for level in levels] + scalars

    @cached_property
    def order(self) -> list[int]:
        """Where every channel is found among east winds, north winds and scalars one after another."""
        return np.argsort(self.east + self.north + self.scalars).tolist()

    def of(self, state: Float[Tensor, "n c y x"], harmonics: Harmonics) -> Float[Tensor, "n f y x"]:
        """Fields of states: ψ and χ in m² s⁻¹, the others in the units of their channels."""
        if not self.east:
            return state[:, self.scalars]
        psi, chi = harmonics.potentials(state[:, self.east], state[:, self.north])
        return torch.cat([psi, chi, state[:, self.scalars]], dim=1)

    def _positions(self, variable: str) -> list[int]:
        return self.channels.select(variable) if variable in self.channels.variables else []

    def _members(self, group: str) -> list[int]:
        return [position for variable in _MEMBERS[group] for position in self._positions(variable)]

    def _require_pairs(self, name: str, other: str) -> None:
        for position in self._positions(name):
            wanted = Channel(other, self.channels.channels[position].level).name
            if wanted not in self.channels.names:
                raise ValueError(
                    f"wind {self.channels.names[position]} has no partner {wanted}, and streamfunction needs both:"
                    f" add {wanted} to the channels or drop {self.channels.names[position]}"
                )


@dataclass(frozen=True)
class Balance:
    """K(φ) and what it explains, for f fields in SI units on y rows.

    Attributes: `operator` K, unit lower triangular by groups; `inverse` K⁻¹; `explained` fraction of each field's
    variance that the balanced part accounts for, 1 − var r / var x.
    """

    operator: Float[np.ndarray, "y f f"]
    inverse: Float[np.ndarray, "y f f"]
    explained: Float[np.ndarray, "f y"]


def regress(
    covariance: Float[np.ndarray, "y f f"], fields: Fields, kernel: Float[np.ndarray, "y y"], ridge: float
) -> Balance:
    """Balance of fields from their covariance on every row; `kernel` averages rows, `ridge` ε is without unit."""
    smooth = np.einsum("yz,zfg->yfg", kernel, covariance)
    inverse = np.broadcast_to(np.eye(smooth.shape[1]), smooth.shape).copy()
    operator = inverse.copy()
    for first, last in list(fields.groups.values())[1:]:
        before = inverse[:, :first]
        matrix = _regression(before @ smooth, before, slice(first, last), ridge)
        operator[:, first:last, :first] = matrix
        inverse[:, first:last] -= matrix @ before
    return Balance(operator, inverse, _explained(covariance, inverse))


def _regression(
    cross: Float[np.ndarray, "y p f"], before: Float[np.ndarray, "y p f"], members: slice, ridge: float
) -> Float[np.ndarray, "y g p"]:
    """R of the fields `members` on predictors r = `before` x, from `cross` = ⟨r xᵀ⟩."""
    own = cross @ before.transpose(0, 2, 1)
    own = own + ridge * own * np.eye(own.shape[1])
    return np.linalg.solve(own, cross[:, :, members]).transpose(0, 2, 1)


def _explained(covariance: Float[np.ndarray, "y f f"], inverse: Float[np.ndarray, "y f f"]) -> np.ndarray:
    left = np.einsum("yfg,ygh,yfh->yf", inverse, covariance, inverse)
    return (1.0 - left / np.diagonal(covariance, axis1=1, axis2=2)).T
