"""Experiments in streams and chunks: the bytes of one job, no spin-up published, and nothing that is not whole."""

import os

import numpy as np
import pandas as pd
import pytest
import torch

import worlds
from damage import flip, shard
from lara import locks, store
from lara.observations import table as tables
from lara.stages.reanalysis.first_background import background_at
from lara.stages.reanalysis.streams import published

WHOLE = {"only": {"begin": "2001-01-02", "end": "2001-01-07", "chunk_days": 2}}
TWO = {
    "early": {"begin": "2001-01-02", "end": "2001-01-04", "chunk_days": 1},
    "late": {"begin": "2001-01-04", "end": "2001-01-07", "spin_up_days": 1, "chunk_days": 2},
}


def in_streams(world, folder, name, streams):
    """The small run with an experiment in streams."""
    return worlds.copied(world, folder, worlds.changed("production", {"streams": {name: streams}}))


def chunks(run, name):
    """Labels of the chunks of an experiment, in order."""
    return [f"{name}/{chunk.stream}/{chunk.name}" for chunk in run.config.production.chunks(name)]


def lara(run, words):
    return worlds.lara(run.layout.root, words)


@pytest.fixture(scope="module")
def streamed(world, tmp_path_factory):
    """The control run `free` in two streams, cycled and sealed; not to be touched."""
    run = in_streams(world, tmp_path_factory.mktemp("streams") / "w", "free", TWO)
    for label in chunks(run, "free"):
        assert lara(run, f"cycle-chunk --chunk {label}") == 0
    assert lara(run, "seal-archive --experiment free") == 0
    return run


def test_chunks_leave_the_bytes_of_one_job(world, cycled, tmp_path):
    """One stream in three chunks against one job: archive, receipt, feedback and ledger; carried curvature included."""
    run, whole = in_streams(world, tmp_path / "w", "l4dvar", WHOLE), cycled("l4dvar")
    assert len(chunks(run, "l4dvar")) == 3
    for label in chunks(run, "l4dvar"):
        assert lara(run, f"cycle-chunk --chunk {label}") == 0
    assert lara(run, "seal-archive --experiment l4dvar") == 0
    found = {path: raw for path, raw in worlds.outputs(run, "l4dvar").items() if "/chunks/" not in path}
    assert found == worlds.outputs(whole, "l4dvar")
    assert lara(run, "verify-archive --experiment l4dvar") == 0


def test_streams_start_from_backgrounds_of_their_own_and_publish_no_spin_up(streamed):
    """Every time once; at the seam the free run of the second stream has been one day on its way, to the bit."""
    with store.open_archive(streamed.layout.archive("free")) as archive:
        times, states = archive["time"].values, archive["geopotential"].sel(level=500).values
    assert times.tolist() == np.arange("2001-01-02", "2001-01-07", 6, "datetime64[h]").astype("datetime64[ns]").tolist()
    begin = np.datetime64("2001-01-03", "ns")
    start = background_at(streamed, "test", begin, 24)
    expected = streamed.forecast(start, np.array([begin]), 4)[0, streamed.channels.position("z500")]
    assert torch.equal(torch.from_numpy(states[8]), expected)
    feedback = tables.read_feedback(streamed.layout.feedback("free"))
    key = [tables.STATION, "variable", tables.TIME, tables.PRESSURE]
    assert not feedback.duplicated(key).any()
    ledger = pd.read_parquet(streamed.layout.health("free"))
    assert ledger["begin"].dt.day.tolist() == [2, 3, 4, 5, 6]


def test_a_chunk_needs_what_the_one_before_leaves(world, tmp_path):
    """The restart is looked for by name; nothing is cycled from another start."""
    run = in_streams(world, tmp_path / "w", "free", WHOLE)
    second = chunks(run, "free")[1]
    assert lara(run, f"cycle-chunk --chunk {second}") == 2
    assert not run.layout.chunk("free", "only", second.split("/")[-1]).archive.exists()


@pytest.mark.parametrize("words", ["cycle-chunk --chunk free/early/20010105T00", "cycle-experiment --experiment free"])
def test_what_is_no_job_of_streams_is_refused(streamed, capsys, words):
    capsys.readouterr()
    assert lara(streamed, words) == 2
    assert "20010103T00" in (line := capsys.readouterr().err) or "snakemake" in line


def damaged(run, folder):
    """A copy of a run in streams whose chunks may be broken."""
    return worlds.copied(run, folder)


def lose_a_chunk(run, first, second):
    first.archive_receipt.unlink()
    return first.archive_receipt


def cut_a_shard(run, first, second):
    file = shard(second.archive, 0, "geopotential")
    raw = file.read_bytes()
    file.unlink()  # not in place: the archive may link to the same file
    file.write_bytes(raw[:-5])
    return file


def edit_a_chunk(run, first, second):
    file = shard(second.archive, 0, "geopotential")
    raw = file.read_bytes()
    file.unlink()
    file.write_bytes(raw)
    flip(file, 50)
    return file


def mix_versions(run, first, second):
    store.discard_archive(second.archive)
    times = np.datetime64("2001-01-03", "ns") + np.arange(4) * np.timedelta64(6, "h")
    states = np.ones((4, 6, 8, 16), np.float32)
    store.create_archive(second.archive, run.grid, run.channels, times, {"title": "another"})
    store.write_archive(second.archive, 0, analysis=states, background=states)
    store.seal_archive(second.archive)
    return second.archive


@pytest.mark.parametrize("harm", [lose_a_chunk, cut_a_shard, edit_a_chunk, mix_versions])
def test_a_bad_chunk_is_named_and_the_old_archive_stays_as_it_is(streamed, tmp_path, capsys, harm):
    """Seal refuses; what was published before is whole still, since shards are replaced and never changed."""
    run = damaged(streamed, tmp_path / "w")
    one, two = (run.layout.chunk("free", chunk.stream, chunk.name) for chunk in published(run, "free")[:2])
    named = harm(run, one, two)
    capsys.readouterr()
    assert lara(run, "seal-archive --experiment free") == 2
    assert str(named) in capsys.readouterr().err
    assert store.verify_archive(run.layout.archive("free")) == []


def test_an_edited_receipt_of_an_archive_is_found(streamed, tmp_path):
    """A receipt of another archive, or one changed by hand: its digest is not that of the files it lists."""
    run = damaged(streamed, tmp_path / "w")
    receipt = run.layout.archive_receipt("free")
    receipt.write_text(receipt.read_text().replace('"digest": "', '"digest": "0'))
    (problem,) = store.verify_archive(run.layout.archive("free"))
    assert str(receipt) in problem


def test_a_sealed_archive_takes_no_room_of_its_own(streamed):
    """Its shards are the files of the chunks."""
    first = streamed.layout.chunk("free", "early", "20010102T00").archive
    mine, theirs = (shard(path, 0, "geopotential") for path in (streamed.layout.archive("free"), first))
    assert mine.samefile(theirs)


def test_two_jobs_cannot_write_one_archive(streamed, tmp_path, capsys):
    """The second names the first and leaves."""
    run = damaged(streamed, tmp_path / "w")
    with locks.held(run.layout.cycled("free").lock, "wait"):
        capsys.readouterr()
        assert lara(run, "seal-archive --experiment free") == 2
        assert f"held by process {os.getpid()}" in capsys.readouterr().err


def growing(folder, end):
    """The small run with `l4dvar` in months over a dataset that ends then, its weather that of the longest one."""
    values = worlds.changed("datasets.growing", {"use": "test", "member": 4, "begin": "2001-01-28", "end": end})
    days = int((np.datetime64(end) - np.datetime64("2001-01-29")).astype(int))
    own = {"suite": "production", "dataset": "growing", "days": days}
    values["experiments"]["grown"] = {**worlds.SHORT_LATENT, **own}
    values["production"] = {
        "reference": "grown",
        "spin_up_days": 0,
        "streams": {"grown": {"only": {"begin": "2001-01-29", "end": end}}},
    }
    return worlds.write_config(folder, values)


def extend(run, weather):
    """Days of a dataset that are not sealed yet, from `weather` of its longest period, and their observations."""
    path, chosen = run.layout.dataset("growing"), run.config.datasets["growing"]
    times = np.arange(np.datetime64(chosen.begin, "ns"), np.datetime64(chosen.end, "ns"), run.step)
    begin = len(store.open_state(path)) if path.exists() else 0
    store.create(path, run.grid, run.channels, times)
    store.write_block(path, begin, weather[begin : len(times)])
    store.seal(path, f"from-{begin}", begin, len(times) - begin)
    for month in run.config.months("growing"):
        for do in ("simulate", "screen"):
            assert lara(run, f"{do}-observations --month growing/{month}") == 0


def test_a_dataset_that_grows_is_cycled_on_from_the_restart_it_left(world, tmp_path):
    """January alone, then two days of February: the bytes of a run that knew both from the start."""
    run, whole = (worlds.copied(world, tmp_path / name) for name in ("run", "whole"))
    for one in (run, whole):
        worlds.unlinked(one.layout.root / "data")
    weather = worlds.weather(run, 24, np.random.default_rng(5))
    for end, made in (("2001-02-01", ["20010129T00"]), ("2001-02-03", ["20010201T00"])):
        grown = growing(run.layout.root, end)
        extend(grown, weather)
        for name in made:
            assert lara(grown, f"cycle-chunk --chunk grown/only/{name}") == 0
    whole = growing(whole.layout.root, "2001-02-03")
    extend(whole, weather)
    for label in chunks(whole, "grown"):
        assert lara(whole, f"cycle-chunk --chunk {label}") == 0
    for one in (grown, whole):
        assert lara(one, "seal-archive --experiment grown") == 0
    left = [
        {path: raw for path, raw in worlds.outputs(one, "grown").items() if not path.endswith("timings.parquet")}
        for one in (grown, whole)
    ]
    assert left[0] == left[1]
    attributes = store.open_archive(grown.layout.archive("grown")).attrs
    assert {"digest_of_observations_2001_01", "digest_of_observations_2001_02"} <= attributes.keys()


def test_chunks_that_saw_different_observations_are_not_sealed_together(world, tmp_path, capsys):
    """One month, two tables of it: the first chunk is named, since it is to be cycled again."""
    run = in_streams(world, tmp_path / "w", "free", WHOLE)
    for number, label in enumerate(chunks(run, "free")):
        if number == 1:
            path = run.layout.screened("test", "2001-01")
            table = tables.read(path)
            tables.write([table.assign(PreQC=np.where(table["variable"] == "t2m", 12, table["PreQC"]))], path)
        assert lara(run, f"cycle-chunk --chunk {label}") == 0
    capsys.readouterr()
    assert lara(run, "seal-archive --experiment free") == 2
    said = capsys.readouterr().err
    first = run.layout.chunk("free", "only", chunks(run, "free")[0].rpartition("/")[2]).archive
    assert f"{first} is made from other inputs" in said
