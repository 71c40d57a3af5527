"""GSI's `convinfo`: which types of report are used for which variable, as a policy.

A line names an observation (ps, t, q, uv), a type, a subtype, and `iuse`: 1 use, −1 monitor, 0 and −3 neither. The
line of subtype 0 stands for a type; of a type that has subtypes alone, the most favourable.
"""

from pathlib import Path

from lara.observations.status import Policy, Status

COMMENT = "!"
VARIABLES = {"ps": ("ps",), "t": ("t", "tv", "t2m", "tv2m"), "q": ("q", "q2m"), "uv": ("u", "v", "u10", "v10")}
USES = {1: Status.USE, -1: Status.MONITOR, 0: Status.REJECT, -3: Status.REJECT}


def policy(path: Path, restricted: bool = True) -> Policy:
    """The policy of a convinfo file. FileNotFoundError, or ValueError with file and line for what is no such line."""
    lines = enumerate(path.read_text().splitlines(), start=1)
    rows = [_row(line, number, path) for number, line in lines if line.strip() and not line.startswith(COMMENT)]
    if not rows:
        raise ValueError(f"{path} has no line of a type: give a convinfo file of GSI's")
    rows.sort(key=lambda row: (row[2] != 0, row[3]))  # that of subtype 0 first, then the most favourable
    types: dict[tuple[str, int], Status] = {}
    for observation, kind, _, status in rows:
        for variable in VARIABLES.get(observation, ()):
            types.setdefault((variable, kind), status)
    return Policy(types=types, restricted=restricted)


def _row(line: str, number: int, path: Path) -> tuple[str, int, int, Status]:
    """Observation, type, subtype and status of a line."""
    fields = line.split()
    try:
        observation, kind, subtype, use = fields[0], *map(int, fields[1:4])
        return observation, kind, subtype, USES[use]
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(
            f"{path}, line {number}: '{line.strip()[:60]}' is no observation, type, subtype and iuse (1, 0, -1 or -3)"
        ) from error
