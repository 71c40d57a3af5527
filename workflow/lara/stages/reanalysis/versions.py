"""Versions of an archive: proved whole, and all but the current one removed."""

from __future__ import annotations

from lara import locks, store
from lara.stages.run import Run


def verify_archive(run: Run, name: str) -> str:
    """Prove an archive whole, and every version of it that is kept; ValueError naming what is damaged."""
    path = run.layout.archive(name)
    problems = store.verify_archive(path)
    problems += [problem for old in store.versions_of(path)[1:] for problem in store.verify_archive(old)]
    if problems:
        raise ValueError(f"archive {path} is damaged: " + "; ".join(problems))
    return f"archive {path} is whole, version {store.version_of(path)}"


def prune_archive(run: Run, name: str) -> str:
    """Remove all versions of an experiment's archive but the current one; a line for each removed."""
    files = run.layout.cycled(name)
    with locks.held(files.lock, "wait for it to end"):
        return "\n".join(f"removed {version}" for version in store.prune(files.archive))
