"""`lara download-month`: what it leaves, says and refuses, and how it goes on after a kill."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import worlds
from cds_server import KEY, LICENCE
from era5_weather import produce
from lara import config, locks, receipts
from lara.sources import grib
from lara.stages.data.download import delivered, delivery, volume

NAME = "validation/single-levels/2001-03"
ABOVE = "validation/pressure-levels/2001-03"
MORE = "training/pressure-levels/2001-01"


@pytest.fixture
def run(small):
    return small()


def download(run, name=NAME):
    return worlds.lara(run.layout.root, f"download-month --delivery {name}")


def everything(run):
    """Names and content of all files of a run."""
    return {
        str(path.relative_to(run.layout.root)): path.read_bytes()
        for path in run.layout.root.rglob("*.*")
        if path.is_file()
    }


def test_a_delivery_is_left_whole_with_a_receipt_of_what_it_is(run, server):
    assert download(run) == 0
    receipt = receipts.read(run.layout.delivery_receipt(NAME))
    path = run.layout.delivery(NAME)
    assert path == run.layout.root / "data" / "era5" / f"{NAME}.grib"
    assert (receipt["digest"], receipt["bytes"]) == (receipts.digest(path), path.stat().st_size)
    assert receipt["request"]["day"] == [f"{day:02d}" for day in range(1, 13)]
    assert receipt["request"]["grid"] == "22.5/22.5"
    assert receipt["preliminary"] == []
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "2001-03.grib",
        "2001-03.grib.json",
        "2001-03.receipt.json",
    ]


def test_the_log_tells_the_place_in_the_queue_and_the_bytes(run, server, caplog, capsys):
    server.states = ("accepted", "accepted", "accepted", "running", "successful")
    assert download(run) == 0
    size = run.layout.delivery(NAME).stat().st_size
    for state in ("accepted", "running"):
        line = f"reanalysis-era5-single-levels 2001-03: job job-1 is {state} (INFO: {state}, 3 requests ahead)"
        assert line in caplog.text
    assert f"[{'#' * 20}] {size}/{size}" in capsys.readouterr().err


def test_a_refusal_is_one_line_with_the_page_to_visit_and_nothing_is_left(run, server, capsys):
    server.fault("submit", **LICENCE)
    assert download(run) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("lara download-month: reanalysis-era5-single-levels 2001-03: accept the licences")
    assert "/datasets/reanalysis-era5-single-levels?tab=download#manage-licences" in line
    assert not run.layout.delivery(NAME).exists() and not run.layout.delivery_receipt(NAME).exists()


def test_what_is_there_and_right_is_not_downloaded_again(run, server):
    assert download(run) == 0
    first = run.layout.delivery_receipt(NAME).read_bytes()
    run.layout.delivery_receipt(NAME).unlink()  # as Snakemake does before it runs a rule again
    assert download(run) == 0
    assert run.layout.delivery_receipt(NAME).read_bytes() == first
    assert server.count("submit") == 1


def test_what_is_there_and_damaged_is_downloaded_again(run, server):
    assert download(run) == 0
    path = run.layout.delivery(NAME)
    good = path.read_bytes()
    path.write_bytes(good[:-100])
    assert download(run) == 0
    assert path.read_bytes() == good
    assert server.count("submit") == 2


def test_a_valid_month_stays_until_a_better_one_is_proven(small, values, server):
    """One level more is asked for, and the store does not answer; then it does."""
    assert download(small(), ABOVE) == 0
    path = small().layout.delivery(ABOVE)
    before = path.read_bytes()
    values["state"]["levels"] = [850, 700, 500]
    values["source"]["patience"] |= {"answer": 0.4, "silence": 0.5}
    server.fault("submit", status=500)
    assert download(small(), ABOVE) == 2
    assert path.read_bytes() == before
    server.faults.clear()
    server.alter = lambda raw: raw[:-1]
    assert download(small(), ABOVE) == 2
    assert path.read_bytes() == before
    server.alter = bytes
    assert download(small(), ABOVE) == 0
    order = delivery(small(), ABOVE).order
    assert path.read_bytes() == produce(order.dataset, dict(order.request))


def test_a_month_of_other_levels_stays_beside_the_new_one(small, values, server):
    """Neither holds the other, so that none is the replacement of the other; each is found again."""
    assert download(small(), ABOVE) == 0
    before = small().layout.delivery(ABOVE).read_bytes()
    values["state"]["levels"] = [700, 500]
    assert download(small(), ABOVE) == 0
    assert small().layout.delivery(ABOVE).read_bytes() == before
    assert len(list(small().layout.delivery(ABOVE).parent.glob("*.grib"))) == 2
    found = delivered(small(), delivery(small(), ABOVE))
    assert found.name.startswith("2001-03-")
    values["state"]["levels"] = [850, 500]
    assert download(small(), ABOVE) == 0
    assert receipts.read(small().layout.delivery_receipt(ABOVE))["file"] == f"{ABOVE}.grib"
    assert server.count("submit") == 2


@pytest.mark.parametrize("content", [b"", b"mine", b"GRIB"], ids=["empty", "text", "cut off"])
def test_a_file_that_somebody_put_there_is_never_touched(run, server, content):
    path = run.layout.delivery(NAME)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    server.fault("submit", **LICENCE, times=1)
    assert download(run) == 2
    assert path.read_bytes() == content
    assert download(run) == 0
    assert path.read_bytes() == content
    assert delivered(run, delivery(run, NAME)) != path


@pytest.mark.parametrize("recorded", [True, False], ids=["downloaded", "put there"])
def test_a_file_that_holds_more_than_is_asked_for_is_used(small, values, server, recorded):
    """Two levels of three and eleven days of twelve; states are those of a file with just that."""
    values["state"]["levels"] = [850, 700, 500]
    assert download(small(), ABOVE) == download(small()) == 0
    if not recorded:
        for record in small().layout.root.rglob("*.grib.json"):
            record.unlink()
    values["state"]["levels"] = [850, 500]
    values["datasets"]["validation"]["end"] = "2001-03-12"
    assert download(small(), ABOVE) == download(small()) == 0
    assert server.count("submit") == 2
    assert worlds.lara(small().layout.root, f"generate-dataset --part {worlds.part(small(), 'validation')}") == 0
    found = small().store("validation").read(slice(None))
    (small().layout.root / "data").rename(small().layout.root / "other")
    assert download(small(), ABOVE) == download(small()) == 0
    assert worlds.lara(small().layout.root, f"generate-dataset --part {worlds.part(small(), 'validation')}") == 0
    assert np.array_equal(found, small().store("validation").read(slice(None)))


def spoil(path):
    """2000 bytes of the data of the last message, which is still whole and plausible."""
    raw = bytearray(path.read_bytes())
    raw[-204:-4] = bytes(200)
    path.write_bytes(raw)


def test_a_month_spoilt_since_its_receipt_is_refused_and_downloaded_again(run, server, capsys):
    """Its messages pass every check, so only the digest tells; and it is no better after the receipt was deleted."""
    assert download(run) == download(run, ABOVE) == 0
    path = run.layout.delivery(NAME)
    good = path.read_bytes()
    spoil(path)
    grib.check(path, delivery(run, NAME).expected)
    capsys.readouterr()
    assert worlds.lara(run.layout.root, f"generate-dataset --part {worlds.part(run, 'validation')}") == 2
    said = capsys.readouterr().err
    receipt = run.layout.delivery_receipt(NAME)
    assert f"{path} has changed since its receipt was written: delete {receipt} and run snakemake" in said
    receipt.unlink()
    assert download(run) == 0
    assert path.read_bytes() == good
    assert worlds.lara(run.layout.root, f"generate-dataset --part {worlds.part(run, 'validation')}") == 0


def test_what_is_measured_and_removed_is_compared_with_its_receipt_too(small, values, server, capsys):
    assert download(small(), MORE) == download(small(), MORE.replace("pressure", "single")) == 0
    spoil(small().layout.delivery(MORE))
    assert worlds.lara(small().layout.root, "measure-ingestion") == 2
    values["source"]["keep"] = False
    assert worlds.lara(small().layout.root, f"generate-dataset --part {worlds.part(small(), 'training')}") == 2
    assert capsys.readouterr().err.count("has changed since its receipt was written") == 2
    assert small().layout.delivery(MORE).exists()


def test_runs_of_other_names_datasets_and_levels_share_a_cache(small, values, server, tmp_path):
    """The first asks for more; the second for a part of it, as another dataset of another run."""
    values["source"]["cache"] = str(tmp_path / "cache")
    values["state"]["levels"] = [850, 700, 500]
    assert download(small(), ABOVE) == 0
    values["state"]["levels"] = [850, 500]
    values["datasets"]["spring"] = values["datasets"].pop("validation") | {"end": "2001-03-11"}
    other = worlds.write_config(tmp_path / "other", {**values, "name": "other"})
    name = ABOVE.replace("validation", "spring")
    assert download(other, name) == 0
    assert server.count("submit") == 1
    assert delivered(other, delivery(other, name)) == small().layout.delivery(ABOVE, values["source"]["cache"])


def test_what_others_use_in_a_cache_is_never_replaced(small, values, server, tmp_path):
    """Even where the new file holds all of the old one, whose digest another run's receipt has."""
    values["source"]["cache"] = str(tmp_path / "cache")
    assert download(small(), ABOVE) == 0
    path = small().layout.delivery(ABOVE, values["source"]["cache"])
    before = path.read_bytes()
    values["state"]["levels"] = [850, 700, 500]
    assert download(small(), ABOVE) == 0
    assert path.read_bytes() == before and server.count("submit") == 2


def test_two_runs_that_want_the_same_of_a_cache_ask_once(small, values, server, tmp_path, monkeypatch):
    """The second finds the first at it and waits."""
    monkeypatch.setattr(locks, "RENEWED", 0.05)
    values["source"]["cache"] = str(tmp_path / "cache")
    server.states = ("accepted", "accepted", "running", "successful")
    with command(small()) as first:
        while not server.jobs:
            time.sleep(0.02)
        assert download(small()) == 0
        assert first.wait(60) == 0
    assert server.count("submit") == 1


def test_a_cache_whose_grib_is_not_to_be_kept_is_refused(small, values, tmp_path):
    values["source"] |= {"cache": str(tmp_path / "cache"), "keep": False}
    with pytest.raises(config.ConfigError, match=r"keep: false would remove what other runs share"):
        small()


def test_a_cache_is_a_folder_for_all_runs(small, values, server, tmp_path):
    values["source"]["cache"] = str(tmp_path / "cache")
    assert download(small()) == 0
    assert (tmp_path / "cache" / "era5" / f"{NAME}.grib").exists()


@pytest.mark.parametrize(
    "name", ["test/single-levels/2001-03", "test/levels/2001-04", "tets/single-levels/2001-04", "x"]
)
def test_a_delivery_that_the_run_does_not_need_is_refused(run, name, capsys):
    assert download(run, name) == 2
    assert (
        f"'{name}' is no delivery of this run: choose one of training/pressure-levels/2001-01 to"
        in capsys.readouterr().err
    )


def test_a_run_without_the_store_downloads_nothing(tmp_path, capsys):
    run = worlds.write_config(tmp_path / "world", worlds.VALUES)
    assert download(run) == 2
    assert "source.kind" in capsys.readouterr().err


def command(run):
    """The command in a process of its own."""
    words = ["download-month", "--run", str(run.layout.root), "--delivery", NAME, "--threads", "1"]
    return subprocess.Popen([sys.executable, "-m", "lara.cli", *words], env=os.environ, stderr=subprocess.PIPE)


def kill_when(run, reached):
    """Start the command and kill it, -9, once `reached()`."""
    with command(run) as process:
        end = time.monotonic() + 300
        while not reached():
            assert process.poll() is None and time.monotonic() < end, process.stderr.read()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not run.layout.delivery(NAME).exists() and not run.layout.delivery_receipt(NAME).exists()


def test_a_command_killed_in_the_queue_and_in_the_download_takes_up_its_job_and_its_bytes(run, server):
    server.states = ("accepted",)
    kill_when(run, lambda: server.count("poll") > 2)
    server.jobs["job-1"].states = ["running", "successful"]
    server.slow = 120
    part = run.layout.delivery(NAME).with_name("2001-03.grib.part")
    kill_when(run, lambda: part.exists() and part.stat().st_size > 0)
    have, server.slow = part.stat().st_size, 0
    assert download(run) == 0
    assert server.count("submit") == len(server.jobs) == 1
    assert 0 < have < receipts.read(run.layout.delivery_receipt(NAME))["bytes"]


def test_the_key_is_in_no_file_log_or_message(run, server, caplog, capsys, monkeypatch):
    """Neither of a run that goes well nor of one whose key is refused."""
    assert download(run) == 0
    wrong = "ffffffff-another-key-of-the-tests"
    monkeypatch.setenv("CDSAPI_KEY", wrong)
    assert download(run, "test/single-levels/2001-04") == 2
    said = caplog.text + "".join(capsys.readouterr())
    assert "the key is not accepted" in said
    for key in (KEY, wrong):
        assert key not in said
        assert not [name for name, content in everything(run).items() if key.encode() in content]


def test_requests_are_counted_without_asking_anybody(run):
    """Three months in both products; a limit of half a month's fields splits the one of 31 days in three."""
    found = volume(run)
    days = 31 + 12 + 12
    assert found.fields == days * 4 * 6
    assert found.requests == 6
    assert volume(run, limit=31 * 4 * 4 / 2).requests == 6 + 2
    assert found.state_bytes == days * 4 * 6 * 8 * 16 * 4
    with pytest.raises(ValueError, match="a day has 16 fields, over the limit of 15"):
        volume(run, limit=15)


def test_the_bytes_counted_are_those_delivered(run, server):
    """2 bytes a value, and headers within a tenth on so small a grid."""
    assert download(run) == 0
    part = delivery(run, NAME)
    size = run.layout.delivery(NAME).stat().st_size
    assert part.order.fields * 2 * 9 * 16 < size < 1.1 * part.order.fields * (2 * 9 * 16 + 200)
    assert json.loads(run.layout.delivery_receipt(NAME).read_text())["dataset"] == "reanalysis-era5-single-levels"
