"""Provenance of a cycled experiment: the attributes of its archive, and the identity that restarts are checked by.

Neither knows how the work is cut into jobs or which suite asks for it: the same analyses have the same provenance.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from lara import receipts, store
from lara.assimilation.window import Window
from lara.depends.inputs import Inputs
from lara.depends.settings import CUTTING, Settings
from lara.depends.stated import stated
from lara.stages.code_digest import code_digest
from lara.stages.covariance.factors import factors
from lara.stages.run import Run

STAGE = ("lara.stages.reanalysis.cycle", "lara.stages.reanalysis.streams")  # whose code analyses windows


def provenance(run: Run, name: str) -> dict[str, Any]:
    """Attributes of an archive."""
    chosen, keepbits = run.config.experiments[name], run.config.archive.keepbits
    made_of = Inputs(run.config, run.layout).stated(name)
    return {
        **({"keepbits": keepbits} if keepbits else {}),
        "title": f"LARA {run.config.name}: {name} ({chosen.method})",
        "Conventions": "CF-1.11",
        "experiment": json.dumps(stated(chosen, CUTTING), sort_keys=True),
        "factors": json.dumps(stated(factors(run, name)), sort_keys=True),
        "settings": receipts.digest(Settings(run.config).analyses(name)),
        **{f"digest_of_{path.relative_to(run.layout.root)}": receipts.digest(path) for path in made_of},
    }


def identity(run: Run, name: str, first: Window) -> str:
    """Digest of all that cycling from a first window depends on: settings, inputs and code.

    FileNotFoundError naming an input that is not there.
    """
    scheme = Inputs(run.config, run.layout).scheme(name)
    content = {
        "archive": provenance(run, name),
        "scheme": [receipts.digest(path) for path in scheme],
        "truth": store.content_digest(run.layout.dataset(run.config.experiments[name].dataset)),
        "code": code_digest(*STAGE),
        "first": str(first),
    }
    return receipts.digest(content)


def archive_times(windows: Sequence[Window]) -> np.ndarray:
    """Times that windows publish, datetime64[ns]."""
    return np.concatenate([window.fresh for window in windows])
