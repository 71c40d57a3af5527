"""Software and machines that analyses were made with: noted window by window, stated by archives, part of no identity.

A job may go on elsewhere than where it began, and chunks of an archive may come from several nodes. So an archive
states every value that occurs, and what is compared to tell whether a job may go on or chunks belong together knows
none.
"""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version

import pandas as pd
import torch

from lara import device
from lara.stages.code_digest import PACKAGE
from lara.store import AND, MADE_WITH

NONE = "none"


def made_with(where: torch.device) -> dict[str, str]:
    """This process: versions of LARA, its commit, Python and torch, and the device with its driver."""
    return {
        "lara": version("lara"),
        "commit": commit(),
        "python": platform.python_version(),
        "torch": device.torch_version(),
        "device": device.name_of(where),
        "driver": device.driver() if where.type == "cuda" else NONE,
    }


def occurring(costs: pd.DataFrame) -> dict[str, str]:
    """Attributes that state what the windows of a table of costs were made with, every value that occurs, in order."""
    columns = [name for name in costs if name.startswith(MADE_WITH)]
    return {name: AND.join(costs[name].unique()) for name in columns}


def noted(where: torch.device) -> dict[str, str]:
    """What a window's row says of this process."""
    return {f"{MADE_WITH}{key}": value for key, value in made_with(where).items()}


@cache
def commit() -> str:
    """Commit of the sources, with "+changes" where they are edited; "none" where they are in no checkout."""
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return NONE
    head, changes = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain", "--", ".")
    return NONE if head is None else head + ("+changes" if changes else "")


def _git(*words: str) -> str | None:
    """What git says of the package; None where it fails, or is not there."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(["git", "-C", str(PACKAGE), *words], capture_output=True, text=True, env=environment)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
