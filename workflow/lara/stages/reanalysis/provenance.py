"""Provenance of a cycled experiment: the attributes of its archive, and the identity that restarts are checked by.

Neither knows how the work is cut into jobs or which suite asks for it: the same analyses have the same provenance.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lara import receipts, store
from lara.assimilation.window import Window
from lara.depends.inputs import Inputs
from lara.depends.settings import CUTTING, Settings
from lara.depends.stated import stated
from lara.stages.code_digest import code_digest
from lara.stages.covariance.factors import factors
from lara.stages.run import Run, hours
from lara.store import OBSERVED

STAGE = ("lara.stages.reanalysis.cycle", "lara.stages.reanalysis.streams")  # whose code analyses windows


def provenance(run: Run, name: str, windows: Sequence[Window]) -> dict[str, Any]:
    """Attributes of an archive of these windows: those of all the experiment, and the digests of what they observed."""
    return {**_shared(run, name), **observed(run, name, windows)}


def observed(run: Run, name: str, windows: Sequence[Window]) -> dict[str, str]:
    """Attributes that state the digests of the observation tables of windows, month by month."""
    times = archive_times(windows)
    begin, end = (moment.astype("M8[us]").item() for moment in (times[0], times[-1] + run.step))
    months = Inputs(run.config, run.layout).observations(name, begin, end)
    return {observed_key(path): receipts.digest(path) for path in months}


def observed_key(path: Path) -> str:
    """Attribute in which an archive states the digest of the table of a month."""
    return store.portable(f"{OBSERVED}_{path.name[: len('2001-01')]}")


def digest_key(run: Run, path: Path) -> str:
    """Attribute in which an archive states the digest of a file of the run."""
    return store.portable(f"digest_of_{path.relative_to(run.layout.root)}")


def identity(run: Run, name: str, first: Window) -> str:
    """Digest of all that cycling from a first window depends on beyond what is observed: settings, inputs and code.

    The settings are those that the rules plan by, so that a key which makes a restart another makes its chunk again. A
    stream that grows goes on from the restart it left. FileNotFoundError naming an input that is not there.
    """
    scheme, chosen = Inputs(run.config, run.layout).scheme(name), run.config.experiments[name]
    start = first.begin - hours(chosen.background_hours)
    content = {
        "settings": Settings(run.config).cycled(name),
        "factors": stated(factors(run, name)),
        "inputs": [receipts.digest(path) for path in scheme],
        "truth": store.content_digest(run.layout.dataset(chosen.dataset), start, start + run.step),
        "code": code_digest(*STAGE),
        "first": str(first),
    }
    return receipts.digest(content)


def _shared(run: Run, name: str) -> dict[str, Any]:
    """Attributes that all archives of an experiment have, whatever stretch of it they hold."""
    chosen, keepbits = run.config.experiments[name], run.config.archive.keepbits
    made_of, found = Inputs(run.config, run.layout).stated(name), factors(run, name)
    return {
        **({"keepbits": keepbits} if keepbits else {}),
        "Conventions": "CF-1.11, ACDD-1.3",
        "experiment": json.dumps(stated(chosen, CUTTING), sort_keys=True),
        "factors": json.dumps({key: getattr(found, key) for key in ("background", "length", "observation")}),
        "settings": receipts.digest(Settings(run.config).analyses(name)),
        **{digest_key(run, path): receipts.digest(path) for path in made_of},
    }


def archive_times(windows: Sequence[Window]) -> np.ndarray:
    """Times that windows publish, datetime64[ns]."""
    return np.concatenate([window.fresh for window in windows])
