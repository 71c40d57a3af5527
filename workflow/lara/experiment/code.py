"""Digests of the package's own modules, so that an edit makes results stale; touching a file does not."""

from __future__ import annotations

from pathlib import Path

import lara
from lara.receipts import digest

PACKAGE = Path(lara.__file__).parent
CYCLING = (  # what the result of a cycled window depends on
    "assimilation/",
    "experiment/analyst",
    "experiment/scheme",
    "experiment/observing",
    "experiment/ensemble",
    "experiment/diagnosing",
    "experiment/covariance",
    "covariance/",
    "observations/",
    "networks/",
)
ARCHIVING = (  # and what becomes of it on disk
    "experiment/cycling",
    "experiment/journal",
    "experiment/restart",
    "experiment/provenance",
    "store/archive",
    "store/rounding",
)


def code_digest(*modules: str) -> str:
    """Digest of the sources whose paths below the package begin so; ValueError for names of none."""
    lost = [module for module in modules if not any(PACKAGE.glob(f"{module}*"))]
    if lost:
        raise ValueError(f"code(...) names modules {lost} that are not in {PACKAGE}: correct it")
    files = [path for module in modules for path in sorted(PACKAGE.glob(f"{module}*"))]
    sources = [source for path in files for source in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return digest([digest(source) for source in sources])
