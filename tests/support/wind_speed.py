"""An observation type that LARA has not: the speed of the wind at 10 m, as a scatterometer sees it.

One module that meets `Operator`, which with its row of KINDS is all that a type needs.
"""

import numpy as np

from lara.observations.operators import interpolation

VARIABLES = {"wind_speed": False}
CALM = 1e-6  # m² s⁻², which keeps the root differentiable in still air and in padding


def place(rows, grid, channels):
    """Grid points around every row; where the channels u10 and v10 are, each row knows for itself."""
    winds = {name: np.full(len(rows), channels.index(name)) for name in ("u10", "v10")}
    return {**winds, **interpolation.points(rows, grid)}


def hofx(states, rows):
    """(u² + v²)^½ at the place of every row, m s⁻¹."""
    u, v = (interpolation.at(states, rows[name], rows) for name in ("u10", "v10"))
    return (u**2 + v**2 + CALM).sqrt()


def spread(std, rows):
    """The larger of the errors of both components."""
    return std[rows["slot"], rows["u10"]].maximum(std[rows["slot"], rows["v10"]])
