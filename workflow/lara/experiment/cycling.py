"""Cycled experiments of a run, and the archive, feedback and ledger they leave."""

from __future__ import annotations

import resource
import shutil
import time as clock
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lara import receipts, store
from lara.assimilation import health
from lara.assimilation.analysis import Analysis
from lara.assimilation.cycle import Method, Start, cycle
from lara.assimilation.window import Window
from lara.experiment.comparing import windows_of
from lara.experiment.diagnosing import Diagnosed
from lara.experiment.ensemble import Ensemble, Recorder, degrees_of_freedom
from lara.experiment.observing import ObservationReader
from lara.experiment.run import Run, time
from lara.experiment.saving import write_dataset
from lara.experiment.scheme import control_run, factors, first_background, scheme, slot_step
from lara.observations import table as tables

Report = Callable[[int, int, Analysis], None]


def cycle_experiment(run: Run, name: str, report: Report) -> None:
    """Run an experiment over its period; leaves a sealed archive, the feedback and the health ledger."""
    chosen = run.config.experiments[name]
    period = windows_of(chosen, *(time(moment) for moment in run.config.period(name)))
    archive = empty_archive(run, name, np.concatenate([window.fresh for window in period]))
    read = ObservationReader(
        run, name, chosen.dataset, [factors(run, name).observation] * chosen.members, chosen.members > 1
    )
    recorder, feedback, ledger, position = Recorder(run, name), [], [], 0
    for number, (analyses, seconds) in enumerate(_timed(analyse(run, name, period, read))):
        members = window_members(analyses)
        states = archived(analyses, members)
        store.write_archive(archive, position, **states)
        feedback.append(read.feedback(analyses[0]))
        ledger += ledger_rows(analyses, feedback[-1], seconds)
        if members is not None:
            recorder.add(members, analyses[0].window)
        position += len(states["analysis"])
        report(number + 1, len(period), analyses[0])
    store.seal_archive(archive)
    tables.write_feedback(pd.concat(feedback, ignore_index=True), run.layout.feedback(name))
    pd.DataFrame(ledger).to_parquet(run.layout.health(name), index=False)
    if chosen.has_spread:
        write_dataset(recorder.dataset(), run.layout.members(name))


def analyse(run: Run, name: str, period: Sequence[Window], read: ObservationReader) -> Iterator[list[Analysis]]:
    """Analyses of the windows by member, each proved healthy before it is handed on."""
    chosen = run.config.experiments[name]
    background = first_background(run, chosen.dataset, chosen.background_hours)
    way = analyst(run, name, background, period[0])
    start = way.start(background, period[0]) if isinstance(way, Ensemble) else Start(background)
    disturb = way.disturb if isinstance(way, Ensemble) else None
    for analyses in cycle(period, start, read, way, slot_step(run, chosen), disturb):
        for analysis in analyses:
            health.require_healthy(analysis, run.config.minimiser.worst_reduction)
        yield analyses


def analyst(run: Run, name: str, background: Tensor, window: Window) -> Method:
    """How an experiment analyses its windows; the spread of B is measured around a background and its window."""
    chosen = run.config.experiments[name]
    if not chosen.variational:
        return control_run(run, chosen)
    own = scheme(run, name, [factors(run, name)], background, window)
    return Ensemble(run, name, own) if chosen.members > 1 else Diagnosed(run, name, own)


def archived(analyses: Sequence[Analysis], members: Tensor | None) -> dict[str, np.ndarray]:
    """What the archive keeps of a window's fresh slots: means over analyses, and the spread of `members`."""
    fresh = slice(analyses[0].window.overlap, None)
    states = {
        "analysis": torch.stack([one.analysis[fresh] for one in analyses]).mean(0),
        "background": torch.stack([one.background[fresh] for one in analyses]).mean(0),
    }
    if members is not None:
        states["spread"] = members[:, fresh].std(0)
    return {kind: part.cpu().numpy() for kind, part in states.items()}


def window_members(analyses: Sequence[Analysis]) -> Tensor | None:
    """Trajectories (m, k, c, y, x) whose spread is that of the analysis: members, or draws of the posterior."""
    return torch.stack([a.analysis for a in analyses]) if len(analyses) > 1 else analyses[0].draws


def ledger_rows(analyses: Sequence[Analysis], feedback: pd.DataFrame, seconds: float) -> list[dict[str, object]]:
    """The health of every member, what became of its data by reason, and what the window cost."""
    shared = {
        "seconds": seconds,
        "peak_memory_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "degrees_of_freedom": analyses[0].degrees_of_freedom or degrees_of_freedom(analyses),
        **{f"n: {reason}": int(count) for reason, count in feedback["reason"].value_counts().items()},
    }
    return [{"member": number, **health.row(analysis), **shared} for number, analysis in enumerate(analyses)]


def _timed(analyses: Iterator[list[Analysis]]) -> Iterator[tuple[list[Analysis], float]]:
    """Each window's analyses with the seconds they took."""
    begin = clock.monotonic()
    for found in analyses:
        yield found, clock.monotonic() - begin
        begin = clock.monotonic()


def empty_archive(run: Run, name: str, times: np.ndarray) -> Path:
    """A new archive for an experiment, in place of one made with other settings."""
    path, made_from = run.layout.archive(name), provenance(run, name)
    run.layout.archive_receipt(name).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    store.create_archive(path, run.grid, run.channels, times, made_from, spread=run.config.experiments[name].has_spread)
    return path


def provenance(run: Run, name: str) -> dict[str, str]:
    """What an archive was made from."""
    chosen = run.config.experiments[name]
    inputs = [run.layout.weights("forecaster"), run.layout.screened(chosen.dataset)]
    if chosen.autoencoder is not None:
        inputs.append(run.layout.weights(chosen.autoencoder))
    if chosen.variational:
        inputs.append(run.layout.background_error(chosen.space))
    return {
        "title": f"LARA {run.config.name}: {name} ({chosen.method})",
        "Conventions": "CF-1.11",
        "experiment": chosen.model_dump_json(),
        "factors": factors(run, name).model_dump_json(),
        "configuration": receipts.digest(run.config.model_dump(mode="json")),
        **{f"digest of {path.relative_to(run.layout.root)}": receipts.digest(path) for path in inputs},
    }
