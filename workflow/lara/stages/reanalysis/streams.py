"""Experiments cut into streams and chunks: each chunk a job of its own, and one archive of all that is published."""

from __future__ import annotations

from lara.assimilation.window import Window
from lara.config import Chunk
from lara.layout import Cycled
from lara.stages.experiments import windows_of
from lara.stages.networks import RunWithNetworks
from lara.stages.reanalysis.cycle import Report, Stretch, cycle_stretch
from lara.stages.run import Run, time


def cycle_chunk(run: RunWithNetworks, label: str, report: Report) -> None:
    """Cycle the chunk `experiment/stream/begin` from where the one before ended; ValueError naming those there are."""
    name, _, rest = label.partition("/")
    known = {f"{chunk.stream}/{chunk.name}": chunk for chunk in run.config.production.chunks(name)}
    if rest not in known:
        raise ValueError(f"no chunk '{label}' in {run.layout.config}: choose one of {name}/{{{', '.join(known)}}}")
    cycle_stretch(run, stretch(run, name, known[rest]), report)


def stretch(run: Run, name: str, chunk: Chunk) -> Stretch:
    """Windows and files of a chunk."""
    chosen, stream = run.config.experiments[name], run.config.production.streams[name][chunk.stream]
    windows = windows_of(chosen, time(stream.first), time(stream.end))
    before = None if chunk.before is None else run.layout.chunk(name, chunk.stream, chunk.before).restart
    return Stretch(name, _within(windows, chunk), windows[0], files_of(run, name, chunk), before, chained=True)


def files_of(run: Run, name: str, chunk: Chunk) -> Cycled:
    """What a chunk leaves."""
    return run.layout.chunk(name, chunk.stream, chunk.name)


def published(run: Run, name: str) -> list[Chunk]:
    """Chunks whose times are in the archive, in order."""
    return [chunk for chunk in run.config.production.chunks(name) if chunk.published]


def _within(windows: list[Window], chunk: Chunk) -> list[Window]:
    """The windows of a stream whose fresh slots are a chunk's."""
    return [window for window in windows if time(chunk.begin) <= window.fresh[0] < time(chunk.end)]
