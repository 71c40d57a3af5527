"""The commands: quick to ask for help, and one clear line with status 2 for an input that cannot be used."""

import inspect
import resource
import shutil
import subprocess
import sys
import time
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
import zarr

import worlds
from lara import cli, config
from lara.networks import weights
from lara.observations import table
from lara.progress import Progress
from lara.stages.networks import RunWithNetworks
from repository import REPOSITORY

IN_SECONDS = 10.0


@pytest.fixture
def run(world, tmp_path):
    """A copy of the small run, to be damaged."""
    shutil.copytree(world.layout.root, tmp_path / "world")
    return RunWithNetworks.open(tmp_path / "world")


@pytest.fixture
def refused(capsys):
    """Function: the one line a command is refused with, in seconds and with status 2."""

    def refuse(root, words):
        capsys.readouterr()
        begin = time.monotonic()
        status = worlds.lara(root, words)
        lines = capsys.readouterr().err.strip().splitlines()
        assert time.monotonic() - begin < IN_SECONDS
        assert status == 2, lines
        assert len(lines) == 1, lines
        assert lines[0].startswith(f"lara {words.split()[0]}: ")
        return lines[0]

    return refuse


def test_a_job_reads_the_configuration_it_was_planned_with(run, tmp_path, monkeypatch):
    """Named by Snakemake in the environment: the run's own, which another start has written since, does not count."""
    planned = run.layout.frozen_config("planned")
    config.write(config.parse(worlds.changed("observations.columns", 3)), planned)
    for name, columns in ((None, worlds.VALUES["observations"]["columns"]), (str(planned), 3)):
        monkeypatch.setenv(cli.FROZEN_CONFIG, name) if name else monkeypatch.delenv(cli.FROZEN_CONFIG, raising=False)
        assert worlds.lara(run.layout.root, "draw-sites") == 0
        stations = worlds.VALUES["observations"]["surface_stations"]
        assert len(pd.read_parquet(run.layout.sites)) == columns + stations


def test_help_takes_less_than_a_second_and_no_heavy_import():
    """CPU seconds of `lara --help` in a process of its own, and the modules it leaves loaded."""
    code = (
        "import sys, lara.cli\n"
        "try: lara.cli.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print('loaded:', *{'torch', 'jax', 'xarray', 'zarr', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
    assert found.stdout.splitlines()[-1] == "loaded:"
    assert all(name in found.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_says_what_it_does(name, capsys):
    """A sentence and every option with its meaning."""
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    command = cli.COMMANDS[name]
    assert command.text and command.text in text
    assert not command.argument or f"--{command.argument}" in text


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_names_a_function_that_takes_what_it_is_given(name):
    """The run, the name of what it is done for, and what it reports to."""
    command = cli.COMMANDS[name]
    function = getattr(import_module(command.modules[0]), command.path.rpartition(".")[2])
    parameters = list(inspect.signature(function).parameters)
    assert parameters[0] == "run"
    assert len(parameters) == 1 + bool(command.argument) + (command.progress is not None)


def test_every_command_is_a_rule_of_the_same_name():
    """`lara <name>` is the body of rule <name>; a command that no rule runs is dead, but for the check by hand."""
    rules = "".join(path.read_text() for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    for name in cli.COMMANDS.keys() - {
        "verify-archive",
        "attribute-archive",
        "prune-archive",
        "verify",
        "prune",
        "status",
    }:
        assert f"rule {name.replace('-', '_')}:" in rules, name
        assert f'lara("{name}"' in rules, name


def test_a_folder_that_is_no_run_is_refused_with_the_remedy(tmp_path, refused):
    """The file that is looked for and what writes it."""
    line = refused(tmp_path / "nothing", "summarise")
    assert str(tmp_path / "nothing" / "config.yaml") in line
    assert "does not exist: run snakemake" in line


def test_an_unknown_key_is_refused_by_name(run, refused):
    """The resolved configuration is checked like any other."""
    values = yaml.safe_load(run.layout.config.read_text())
    run.layout.config.write_text(yaml.safe_dump({**values, "sede": 1}))
    line = refused(run.layout.root, "compute-statistics")
    assert "unknown key 'sede'" in line
    assert str(run.layout.config) in line


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("train-autoencoder --autoencoder mian", "main"),
        ("simulate-observations --month tets/2001-01", "test"),
        ("simulate-observations --month test/2001-02", "2001-01 to 2001-01"),
        ("generate-dataset --part tets/20010101-20010109", "test"),
        ("generate-dataset --part test/20010101-20010301", "2001-01-09"),
        ("generate-dataset --part test/january", "20010101-20010301"),
        ("cycle-experiment --experiment l5dvar", "l4dvar"),
        ("score-experiment --experiment l5dvar", "l4dvar"),
        ("tune-experiment --experiment l5dvar", "tuned"),
        ("estimate-background-error --space mian", "model"),
        ("draw-figure --figure mystery", "learning_curves"),
    ],
)
def test_an_unknown_name_is_refused_naming_those_there_are(run, refused, words, known):
    """A bare KeyError would say the name and not what to do."""
    line = refused(run.layout.root, words)
    assert words.split()[-1] in line
    assert known in line


def test_a_missing_observation_file_is_refused(run, refused):
    """Path and remedy; before anything is computed."""
    run.layout.screened("test", "2001-01").unlink()
    line = refused(run.layout.root, "cycle-experiment --experiment l4dvar")
    assert str(run.layout.screened("test", "2001-01")) in line
    assert "does not exist: run snakemake" in line
    assert not run.layout.archive("l4dvar").exists()


def test_a_truncated_observation_file_is_refused(run, refused):
    """Half a parquet file has no footer."""
    path = run.layout.screened("test", "2001-01")
    path.write_bytes(path.read_bytes()[:5000])
    line = refused(run.layout.root, "cycle-experiment --experiment free")
    assert str(path) in line
    assert "rerun" in line


@pytest.mark.parametrize("words", ["compute-statistics", "train-forecaster", "train-autoencoder --autoencoder main"])
def test_a_truncated_store_is_refused(run, refused, words):
    """A shard file cut short is found on opening, by the size its receipt recorded."""
    shard = sorted((run.layout.dataset("training") / "state").glob("c.*"))[3]
    shard.write_bytes(shard.read_bytes()[:-7])
    line = refused(run.layout.root, words)
    assert shard.name in line
    assert str(run.layout.dataset("training")) in line
    assert "rerun" in line


def test_a_store_without_its_receipt_is_refused(run, refused):
    """What a killed writer leaves is not data."""
    shutil.rmtree(run.layout.dataset("training").with_name("training.zarr.receipts"))
    line = refused(run.layout.root, "compute-statistics")
    assert "no receipt" in line


def test_nan_in_a_state_is_refused(run, refused):
    """A NaN put into a sealed store behind its back is found when it is read, with the file that holds it."""
    array = zarr.open_array(run.layout.dataset("test") / "state", mode="r+")
    array[3, 0, 0, 0] = np.nan
    line = refused(run.layout.root, "simulate-observations --month test/2001-01")
    assert "test.zarr" in line
    assert "rerun" in line


@pytest.mark.parametrize("experiment", ["l4dvar", "4dvar", "free", "autoencoder-only"])
def test_nan_in_a_forecast_stops_the_cycle_at_its_window(run, refused, experiment):
    """Weights gone wrong: the window, the slot and the number of bad values; no archive passes for whole."""
    forecaster = run.forecaster
    forecaster.leave.bias.fill_(torch.nan)
    weights.save(forecaster, run.layout.weights("forecaster"), run.description(run.config.forecaster))
    line = refused(run.layout.root, f"cycle-experiment --experiment {experiment}")
    assert "window [2001-01-02T00:00" in line
    assert "not finite" in line
    assert not run.layout.archive_receipt(experiment).exists()


@pytest.mark.parametrize(("name", "words"), [("forecaster", "measure-forecaster"), ("main", "score-autoencoder")])
def test_weights_of_another_channel_set_are_refused_naming_both(run, refused, name, words):
    """The same sizes, other levels: nothing but the description tells them apart."""
    module, network = (
        (run.new_forecaster(), run.config.forecaster)
        if name == "forecaster"
        else (run.new_autoencoder(name), run.config.autoencoders[name])
    )
    other = {**run.description(network), "channels": ["msl", "t2m", "z300", "z850", "t300", "t850"]}
    weights.save(module, run.layout.weights(name), other)
    line = refused(run.layout.root, words + (f" --autoencoder {name}" if name == "main" else ""))
    assert str(run.layout.weights(name)) in line
    assert "z300" in line
    assert "z500" in line
    assert "train again" in line


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (lambda layout: layout.statistics, "train-forecaster"),
        (lambda layout: layout.weights("main"), "cycle-experiment --experiment l4dvar"),
        (lambda layout: layout.weights("forecaster"), "cycle-experiment --experiment free"),
        (lambda layout: layout.background_error("main"), "cycle-experiment --experiment l4dvar"),
        (lambda layout: layout.background_error("model"), "cycle-experiment --experiment 4dvar"),
        (lambda layout: layout.tuning("tuned"), "cycle-experiment --experiment tuned"),
        (lambda layout: layout.observations("test", "2001-01"), "screen-observations --month test/2001-01"),
        (lambda layout: layout.screened("validation", "2001-01"), "tune-experiment --experiment tuned"),
        (lambda layout: layout.errors("main"), "cycle-experiment --experiment l4dvar"),
        (lambda layout: layout.errors("forecaster"), "cycle-experiment --experiment free"),
        (lambda layout: layout.network_scores("forecaster"), "summarise"),
        (lambda layout: layout.sites, "simulate-observations --month test/2001-01"),
        (lambda layout: layout.archive("l4dvar"), "score-experiment --experiment l4dvar"),
        (lambda layout: layout.scores("l4dvar"), "summarise"),
        (lambda layout: layout.members("eda"), "score-ensemble --experiment eda"),
        (lambda layout: layout.scores("3dvar"), "compare-osse"),
    ],
    ids=[
        "statistics",
        "autoencoder",
        "forecaster",
        "B",
        "B-model",
        "factors",
        "observations",
        "screened",
        "autoencoder-errors",
        "forecaster-errors",
        "forecaster-scores",
        "sites",
        "archive",
        "scores",
        "members",
        "osse-scores",
    ],
)
def test_any_missing_input_is_refused_by_its_path(run, refused, lost, words):
    """Snakemake would not let it happen; a command by hand can."""
    path = lost(run.layout)
    if path.exists():
        path.unlink()
    assert str(path) in refused(run.layout.root, words)


def test_an_observation_of_a_level_the_state_has_not_is_refused(run, refused):
    """The level, those there are, and what to do."""
    rows = table.read(run.layout.screened("test", "2001-01"))
    rows.loc[rows["variable"] == "z", table.PRESSURE] = 30000.0
    table.write([rows], run.layout.screened("test", "2001-01"))
    line = refused(run.layout.root, "cycle-experiment --experiment l4dvar")
    assert "300 hPa" in line
    assert "500, 850" in line


def test_a_traceback_is_shown_on_request(tmp_path):
    """For whoever mends the code and not the input."""
    with pytest.raises(ValueError, match="does not exist"):
        worlds.lara(tmp_path / "nothing", "summarise --traceback")


def test_progress_says_what_is_done_and_what_is_left(capsys):
    """A step of three done in no time: 1/3, then 3/3; the last is always told."""
    report = Progress("test, steps", every=0.0)
    report(1, 3)
    report(3, 3, ", loss 0.5")
    first, last = capsys.readouterr().err.splitlines()
    assert first == "test, steps [#######             ] 1/3"
    assert "[####################] 3/3, 0.0 min left, loss 0.5" in last


def test_the_time_left_does_not_count_what_came_before_the_first_step(monkeypatch, capsys):
    """Set-up of 1000 s, then 2 s a step: 10 of 100 done, 90 to go, 3 min; and not the hours that set-up would make."""
    clock = iter([0.0, 1000.0, 1018.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    report = Progress("test, steps")
    report(1, 100)
    report(10, 100)
    assert capsys.readouterr().err.splitlines()[-1].endswith("10/100, 3.0 min left")
