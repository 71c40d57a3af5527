"""What a change re-runs of an experiment in chunks: that, and nothing else.

Plans alone: the files of a finished run are made up and declared up to date (`snakemake --touch`).
"""

import os
import resource
import shutil
import time

import pytest

import worlds
from lara.depends.inputs import Inputs
from lara.layout import Layout
from lara.stages.networks import RunWithNetworks
from plans import TARGET, planned, snakemake

pytestmark = pytest.mark.slow


def in_chunks(days=4, **sections):
    """The small configuration with `l4dvar` in chunks of two days."""
    stream = {"begin": "2001-01-02", "end": f"2001-01-{2 + days:02d}", "chunk_days": 2}
    values = worlds.changed("production", {"streams": {"l4dvar": {"only": stream}}})
    for experiment in values["experiments"].values():
        if experiment.get("suite", "reanalysis") == "reanalysis":
            experiment["days"] = days
    values["verification"] |= {"spin_up_days": 0, "lead_days": 0.25}
    return values | {key: {**values[key], **section} for key, section in sections.items()}


@pytest.fixture(scope="module")
def done(world, tmp_path_factory):
    """A folder in which `l4dvar` counts as cycled in two chunks and sealed."""
    folder = tmp_path_factory.mktemp("plans")
    shutil.copytree(world.layout.root, folder / "results" / "world")
    config = worlds.write_config(folder / "made", in_chunks()).config
    run = RunWithNetworks(config, Layout(folder / "results" / "world"))
    chunks = [run.layout.chunk("l4dvar", chunk.stream, chunk.name) for chunk in config.production.chunks("l4dvar")]
    files = [path for name in config.datasets for path in Inputs(config, run.layout).dataset(name)]
    made_up([*files, *left_by([*chunks, run.layout.cycled("l4dvar")])])
    snakemake(folder, in_chunks(), TARGET, "--touch")
    return folder


def left_by(stretches):
    """Files that cycled stretches leave."""
    return [
        file
        for left in stretches
        for file in (left.archive_receipt, left.feedback, left.health, left.timings, left.restart)
    ]


def made_up(files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(file))


@pytest.mark.parametrize(
    ("values", "jobs"),
    [
        (in_chunks(), {}),
        (in_chunks(days=6), {"cycle_chunk": 1, "seal_archive": 1}),
        (in_chunks(minimiser={"evaluations": 9}), {"cycle_chunk": 2, "seal_archive": 1}),
        (in_chunks(verification={"headline": ["z500"]}), {}),
    ],
    ids=["nothing", "a longer period", "a key of the assimilation", "a plotted channel"],
)
def test_a_changed_configuration_runs_what_it_must(done, values, jobs):
    assert planned(done, values) == jobs


def test_a_key_more_in_every_section_runs_nothing(done, later):
    """An upgrade of LARA that brings keys which are off unless asked for."""
    assert planned(done, in_chunks(), package=later) == {}


def in_months(end, days):
    """The small configuration with `l4dvar` in months, over a test dataset that ends then."""
    values = in_chunks(days=days)
    values["datasets"]["test"]["end"] = end
    stream = {"begin": "2001-01-02", "end": end}
    return values | {"production": {"streams": {"l4dvar": {"only": stream}}}}


@pytest.fixture(scope="module")
def two_months(world, tmp_path_factory):
    """A folder in which January and February count as observed, cycled and sealed."""
    folder, values = tmp_path_factory.mktemp("months"), in_months("2001-03-01", 58)
    shutil.copytree(world.layout.root, folder / "results" / "world")
    config = worlds.write_config(folder / "made", values).config
    layout = Layout(folder / "results" / "world")
    shutil.rmtree(layout.dataset_part("test", "any").parent, ignore_errors=True)
    chunks = [layout.chunk("l4dvar", chunk.stream, chunk.name) for chunk in config.production.chunks("l4dvar")]
    tables = [path("test", month) for path in (layout.observations, layout.screened) for month in config.months("test")]
    files = [path for name in config.datasets for path in Inputs(config, layout).dataset(name)]
    made_up([*files, *tables, *left_by([*chunks, layout.cycled("l4dvar")])])
    snakemake(folder, values, TARGET, "--touch")
    return folder


NEW_MONTH = dict.fromkeys(("generate_dataset", "simulate_observations", "screen_observations", "cycle_chunk"), 1)


def test_a_dataset_that_grows_plans_the_new_month_alone(two_months):
    """Two days of March: one part of the dataset, one table, one chunk, and the seal; then two days more, the same."""
    assert planned(two_months, in_months("2001-03-01", 58)) == {}
    assert planned(two_months, in_months("2001-03-03", 60)) == {**NEW_MONTH, "seal_archive": 1}
    text = snakemake(two_months, in_months("2001-03-03", 60), TARGET, "--dry-run")
    assert "parts/test/20010301-20010303.receipt.json" in text
    assert "chunks/only/20010201T00/restart.safetensors" in text


def test_more_of_the_period_leaves_the_chunks_before_alone_and_seals_again(done):
    """The chunk is the last: the one before keeps its restart, which the new one begins from."""
    text = snakemake(done, in_chunks(days=6), TARGET, "--dry-run")
    assert "cycles/l4dvar/chunks/only/20010106T00/restart.safetensors" in text
    assert "reason: Params have changed" not in text


def test_edited_assimilation_cycles_every_chunk_again(done):
    assert planned(done, in_chunks(), edited="lara.assimilation.cost") == {"cycle_chunk": 2, "seal_archive": 1}


def test_an_edited_encoder_cycles_every_chunk_again_and_trains_nothing(done):
    """What is measured of it and B are made again, too; networks are dear, and their weights are not its code."""
    jobs = planned(done, in_chunks(), edited="lara.autoencoder")
    assert jobs.pop("cycle_chunk") == 2
    assert set(jobs) == {"measure_autoencoder", "measure_forecaster", "estimate_background_error", "seal_archive"}


def test_an_edited_seal_seals_again_and_cycles_nothing(done):
    assert planned(done, in_chunks(), edited="lara.stages.reanalysis.seal") == {"seal_archive": 1}


def test_a_touched_background_error_runs_nothing_and_a_changed_one_every_chunk(done, tmp_path):
    """Content counts, not time."""
    folder = shutil.copytree(done, tmp_path / "changed", symlinks=True)
    path = folder / "results" / "world" / "covariance" / "main.npz"
    path.touch()
    assert planned(folder, in_chunks()) == {}
    path.write_bytes(path.read_bytes() + b"x")
    assert planned(folder, in_chunks()) == {"cycle_chunk": 2, "seal_archive": 1}


def test_touched_files_run_nothing(done, tmp_path):
    """All of them, what was made last now being the oldest."""
    folder = shutil.copytree(done, tmp_path / "touched", symlinks=True)
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    begin = time.time() - len(files)
    for number, path in enumerate(files):
        os.utime(path, (begin + number, begin + number))
    assert planned(folder, in_chunks()) == {}


def test_old_results_in_a_fresh_clone_run_nothing(done, tmp_path):
    """Copied with their times, Snakemake's notes left behind: nothing tells of a change, and none is seen."""
    shutil.copytree(done / "results", tmp_path / "results", symlinks=True)
    assert not (tmp_path / ".snakemake").exists()
    assert planned(tmp_path, in_chunks()) == {}


def test_old_results_that_lost_their_times_are_declared_up_to_date(done, tmp_path):
    """Without notes and times Snakemake would make again all that seems older than what it came from, networks too;
    `--touch` says that nothing changed, and changes are seen from then on."""
    shutil.copytree(done / "results", tmp_path / "results", symlinks=True, copy_function=shutil.copy)
    statistics = tmp_path / "results" / "world" / "data" / "statistics.npz"
    os.utime(statistics, (time.time() + 10, time.time() + 10))
    assert "train_forecaster" in planned(tmp_path, in_chunks())
    os.utime(statistics)
    snakemake(tmp_path, in_chunks(), TARGET, "--touch")
    assert planned(tmp_path, in_chunks()) == {}
    assert planned(tmp_path, in_chunks(minimiser={"evaluations": 9})) == {"cycle_chunk": 2, "seal_archive": 1}


def test_a_chain_of_a_thousand_chunks_plans_within_a_minute(tmp_path):
    """Of processor time, so that other work on the machine does not count; measured 8 s."""
    values = in_chunks()
    values["datasets"]["test"]["end"] = "2003-10-05"
    for experiment in values["experiments"].values():
        if experiment.get("suite", "reanalysis") == "reanalysis":
            experiment["days"] = 1000
    stream = {"begin": "2001-01-02", "end": "2003-09-29", "chunk_days": 1}
    values["production"] = {"streams": {"l4dvar": {"only": stream}}}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert planned(tmp_path, values)["cycle_chunk"] == 1000
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60
