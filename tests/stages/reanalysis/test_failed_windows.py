"""Windows whose analysis fails however often it is tried: a job stops, or publishes the background and says so."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import worlds
from lara import store
from lara.assimilation import FAILED
from lara.depends.settings import Settings
from lara.observations import table as tables
from lara.stages.reanalysis import cycle
from lara.stages.reanalysis.provenance import identity, provenance
from lara.stages.run import time
from lara.stages.upkeep.status import status
from lara.stages.verification.long_run import cycles

NAME = "brief"  # eight windows of one slot, from 2001-01-02T00 on
WORDS = f"cycle-experiment --experiment {NAME}"
STEP = np.timedelta64(6, "h")
STREAM = {"one": {"begin": "2001-01-02", "end": "2001-01-04", "chunk_days": 1}}


class Killed(BaseException):
    """What no code of ours catches."""


def values(streams=None, **policy):
    """The configuration with an experiment of a policy; no background check, so that bad data reach the cost."""
    found = worlds.changed("production", {"checkpoint_every": 2, "streams": {NAME: streams} if streams else {}})
    own = {**worlds.SHORT_LATENT, "method": "l3dvar", "slots": 1, "suite": "osse"}
    found["experiments"][NAME] = {**own, **policy}
    found["minimiser"] = {"evaluations": 4, "degrees_of_freedom_every": 0, "worst_reduction": 1.0}
    found["autoencoders"]["main"]["corrections"] = 0
    found["quality_control"] = {"background_check": None}
    return found


def spoilt(world, folder, bad, **options):
    """The run with a datum that no cost can hold in the windows of these numbers."""
    run = worlds.copied(world, folder, values(**options))
    path = run.layout.screened("test", "2001-01")
    table = tables.read(path)
    for number in bad:
        own = table[(table[tables.TIME] == window_begin(run, number)) & (table["variable"] == "t2m")]
        table.loc[own.index[~own["withheld"]][0], "ObsValue"] = 1e200
    tables.write([table], path)
    return run


def window_begin(run, number):
    return time(run.config.period(NAME)[0]) + number * STEP


def opened(run):
    return store.open_archive(run.layout.archive(NAME)).load()


FORGIVING = {"on_failure": "background", "most_failures": 2}


def test_a_failed_window_stops_the_job_unless_asked_otherwise(world, tmp_path, capsys):
    """As often as it is tried; the window is named and nothing is sealed."""
    run = spoilt(world, tmp_path / "w", [3])
    for _ in range(2):
        assert worlds.lara(run.layout.root, WORDS) == 2
        assert f"window [{str(window_begin(run, 3))[:13]}" in capsys.readouterr().err.splitlines()[-1]
    assert not run.layout.archive_receipt(NAME).exists()


@pytest.fixture(scope="module")
def forgiven(world, tmp_path_factory):
    """The run with the background published in windows 3 and 4; not to be touched."""
    run = spoilt(world, tmp_path_factory.mktemp("forgiven") / "w", [3, 4], **FORGIVING)
    assert worlds.lara(run.layout.root, WORDS) == 0
    return run


def test_the_background_is_published_and_flagged(forgiven):
    """At these times alone; every other analysis is one."""
    archive = opened(forgiven)
    flag = archive["analysis_flag"]
    assert flag.values.tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert flag.dims == ("time",)
    for name in ("geopotential", "2m_temperature"):
        same = (archive[name] == archive[f"{name}_background"]).all([d for d in archive[name].dims if d != "time"])
        assert same.values.tolist() == (flag == 1).values.tolist()
    assert store.verify_archive(forgiven.layout.archive(NAME)) == []


def test_readers_of_cf_understand_the_flag(forgiven, tmp_path):
    """Also in NetCDF, classic or not."""
    for layout in ("NETCDF4", "NETCDF3_64BIT"):
        opened(forgiven)[["analysis_flag"]].to_netcdf(tmp_path / "flag.nc", format=layout)
        with xr.open_dataset(tmp_path / "flag.nc") as data:
            flag = data["analysis_flag"].load()
        meanings = dict(zip(flag.attrs["flag_meanings"].split(), np.atleast_1d(flag.attrs["flag_values"]), strict=True))
        assert meanings == {"analysis": 0, "background": 1}
        assert flag.attrs["standard_name"] == "quality_flag"
        assert (flag == meanings["background"]).sum() == 2


def test_ledger_feedback_status_and_report_say_which_windows_failed_and_why(forgiven, capsys):
    ledger = pd.read_parquet(forgiven.layout.health(NAME))
    bad = ledger[ledger["reason"] == FAILED]
    begins = [window_begin(forgiven, number) for number in (3, 4)]
    assert bad["begin"].tolist() == begins
    assert bad["failure"].str.contains("not finite").all() and ledger["failure"].notna().sum() == 2
    feedback = tables.read_feedback(forgiven.layout.feedback(NAME))
    assert (feedback.loc[feedback["cycle"].isin(begins), "EffectiveQC"] != tables.Flag.PASS).all()
    row = status(forgiven).set_index("experiment").loc[NAME]
    assert (row["windows"], row["failed"]) == (8, 2)
    report = cycles(forgiven, NAME)
    assert report["failed"] == 2 and report["stop_reasons"][FAILED] == 2
    assert report["backgrounds_published"] == [str(np.datetime64(begin, "s")).replace("T", " ") for begin in begins]
    json.dumps(report)
    capsys.readouterr()


def test_too_many_failures_stop_a_job_that_goes_on_when_more_are_allowed(world, tmp_path, capsys, caplog):
    """No window before its last checkpoint is analysed again; the result is that of a job that was never stopped."""
    run = spoilt(world, tmp_path / "w", [3, 4, 5], **FORGIVING)
    assert worlds.lara(run.layout.root, WORDS) == 2
    assert "so did the 2 windows before it" in capsys.readouterr().err
    more = values(**{**FORGIVING, "most_failures": 3})
    assert worlds.lara(worlds.write_config(run.layout.root, more).layout.root, WORDS) == 0
    assert "goes on after window 4 of 8" in caplog.text
    whole = spoilt(world, tmp_path / "whole", [3, 4, 5], on_failure="background", most_failures=3)
    assert worlds.lara(whole.layout.root, WORDS) == 0
    assert worlds.outputs(run, NAME) == worlds.outputs(whole, NAME)


def test_a_job_that_stopped_goes_on_when_its_policy_is_changed(world, tmp_path, caplog):
    run = spoilt(world, tmp_path / "w", [5])
    assert worlds.lara(run.layout.root, WORDS) == 2
    worlds.write_config(run.layout.root, values(**FORGIVING))
    assert worlds.lara(run.layout.root, WORDS) == 0
    assert "goes on after window 4 of 8" in caplog.text
    assert opened(run)["analysis_flag"].values.sum() == 1


def test_killed_and_called_again_it_counts_as_if_it_had_not_been(world, forgiven, tmp_path, monkeypatch):
    """The failures in a row before a checkpoint are in it: windows 3 and 4 are on both sides of one."""
    run, analyse, seen = spoilt(world, tmp_path / "w", [3, 4], **FORGIVING), cycle.analyse, []

    def interrupted(*arguments):
        for analyses in analyse(*arguments):
            seen.append(analyses)
            if len(seen) == 6:
                raise Killed
            yield analyses

    monkeypatch.setattr(cycle, "analyse", interrupted)
    with pytest.raises(Killed):
        worlds.lara(run.layout.root, WORDS)
    assert worlds.lara(run.layout.root, WORDS) == 0
    assert worlds.outputs(run, NAME) == worlds.outputs(forgiven, NAME)
    strict = spoilt(world, tmp_path / "strict", [3, 4], **{**FORGIVING, "most_failures": 1})
    assert [worlds.lara(strict.layout.root, WORDS) for _ in range(2)] == [2, 2]


def test_chunks_leave_what_one_job_leaves(world, forgiven, tmp_path, capsys):
    """Windows 3 and 4 are the last of a chunk and the first of the next: they are in a row, and both are flagged."""
    run = spoilt(world, tmp_path / "w", [3, 4], streams=STREAM, **FORGIVING)
    chunks = [f"{NAME}/one/{day}T00" for day in ("20010102", "20010103")]
    for chunk in chunks:
        assert worlds.lara(run.layout.root, f"cycle-chunk --chunk {chunk}") == 0
    assert worlds.lara(run.layout.root, f"seal-archive --experiment {NAME}") == 0
    xr.testing.assert_identical(opened(run), opened(forgiven))
    assert run.layout.health(NAME).read_bytes() == forgiven.layout.health(NAME).read_bytes()
    strict = spoilt(world, tmp_path / "s", [3, 4], streams=STREAM, **{**FORGIVING, "most_failures": 1})
    assert [worlds.lara(strict.layout.root, f"cycle-chunk --chunk {chunk}") for chunk in chunks] == [0, 2]
    assert "so did the 1 windows before it" in capsys.readouterr().err


def test_a_policy_that_was_not_needed_changes_no_byte(world, tmp_path):
    """No variable, attribute, digest or identity knows of it, and no rule is asked for again."""
    plain, careful = spoilt(world, tmp_path / "a", []), spoilt(world, tmp_path / "b", [], **FORGIVING)
    for run in (plain, careful):
        assert worlds.lara(run.layout.root, WORDS) == 0
    assert worlds.outputs(plain, NAME) == worlds.outputs(careful, NAME)
    assert "analysis_flag" not in opened(careful)
    period = cycle.all_windows(plain, NAME)
    assert provenance(plain, NAME, period) == provenance(careful, NAME, period)
    assert identity(plain, NAME, period[0]) == identity(careful, NAME, period[0])
    assert Settings(plain.config).experiment(NAME) == Settings(careful.config).experiment(NAME)
    assert not any("fail" in key for key in json.dumps(provenance(plain, NAME, period)).split('"'))


def test_a_background_has_no_posterior_spread(world, tmp_path):
    with pytest.raises(ValueError, match="on_failure: stop"):
        worlds.write_config(tmp_path, values(on_failure="background", posterior_vectors=4))
