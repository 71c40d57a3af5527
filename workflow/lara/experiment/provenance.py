"""What a cycled experiment is made from: the attributes of its archive, and the identity that restarts are checked by.

Neither knows how the work is cut into jobs or which suite asks for it: the same analyses have the same provenance.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lara import receipts, store
from lara.assimilation.window import Window
from lara.experiment.code import CYCLING, code_digest
from lara.experiment.run import Run
from lara.experiment.scheme import factors

CUTTING = ("days", "suite")  # keys of an experiment that change no analysis


def provenance(run: Run, name: str) -> dict[str, Any]:
    """Attributes of an archive."""
    chosen, keepbits = run.config.experiments[name], run.config.archive.keepbits
    return {
        **({"keepbits": keepbits} if keepbits else {}),
        "title": f"LARA {run.config.name}: {name} ({chosen.method})",
        "Conventions": "CF-1.11",
        "experiment": chosen.model_dump_json(exclude=set(CUTTING)),
        "factors": factors(run, name).model_dump_json(),
        "settings": receipts.digest(_settings(run, name)),
        **{f"digest_of_{path.relative_to(run.layout.root)}": receipts.digest(path) for path in _inputs(run, name)},
    }


def identity(run: Run, name: str, first: Window) -> str:
    """Digest of all that cycling from a first window depends on: settings, inputs and code.

    FileNotFoundError naming an input that is not there.
    """
    errors = [run.layout.errors(network) for network in ("forecaster", *_autoencoder(run, name))]
    content = {
        "archive": provenance(run, name),
        "errors": [receipts.digest(path) for path in errors],
        "statistics": receipts.digest(run.layout.statistics),
        "truth": store.content_digest(run.layout.dataset(run.config.experiments[name].dataset)),
        "code": code_digest(*CYCLING),
        "first": str(first),
    }
    return receipts.digest(content)


def archive_times(windows: Sequence[Window]) -> np.ndarray:
    """Times that windows publish, datetime64[ns]."""
    return np.concatenate([window.fresh for window in windows])


def _settings(run: Run, name: str) -> dict[str, Any]:
    """Keys of the configuration beyond the experiment's own that its analyses depend on."""
    config, chosen = run.config, run.config.experiments[name]
    wanted = ("seed", "step_hours", "grid", "state", "minimiser", "quality_control")
    found: dict[str, Any] = config.model_dump(mode="json", include=set(wanted))
    found["relaxation_days"] = config.forecaster.relaxation_days
    found["corrections"] = None if chosen.autoencoder is None else config.autoencoders[chosen.autoencoder].corrections
    found["headline"] = list(config.verification.headline) if chosen.has_spread else None
    return found


def _autoencoder(run: Run, name: str) -> list[str]:
    chosen = run.config.experiments[name]
    return [] if chosen.autoencoder is None else [chosen.autoencoder]


def _inputs(run: Run, name: str) -> list[Path]:
    chosen = run.config.experiments[name]
    inputs = [run.layout.weights("forecaster"), run.layout.screened(chosen.dataset)]
    inputs += [run.layout.weights(network) for network in _autoencoder(run, name)]
    return [*inputs, run.layout.background_error(chosen.space)] if chosen.variational else inputs
