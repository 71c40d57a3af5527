"""Archives once they are sealed: proved whole, attributed anew, and all versions but the current one removed."""

from __future__ import annotations

from lara import locks, store
from lara.stages.reanalysis.attribution import attribution
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


def attribute_archive(run: Run, name: str) -> None:
    """Have a sealed archive say of itself what the configuration now has, and seal it again.

    ValueError for one that is damaged, or made of chunks: its versions are never written again.
    """
    files = run.layout.cycled(name)
    if files.archive.is_symlink():
        raise ValueError(
            f"archive {files.archive} is a version, which stays as it is: run snakemake, which seals another"
        )
    with locks.held(files.lock, "wait for it to end"):
        verify_archive(run, name)
        with store.open_archive(files.archive) as opened:
            times = opened["time"].values
        old = store.added_attributes(files.archive)
        kept = {key: value for key, value in old.items() if key.startswith(store.MADE_WITH)}
        store.seal_archive(files.archive, added={**kept, **attribution(run, name, times)})
