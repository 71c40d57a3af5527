"""What a killed cycling job left is damaged before it is called again: the same bytes in the end, whatever it was."""

import shutil

import pytest

import worlds
from damage import DAMAGES, spoil
from lara.stages.reanalysis import checkpoints, cycle
from lara.stages.upkeep.status import status

NAME = "brief"  # an ensemble of two, four windows of one slot
WORDS = f"cycle-experiment --experiment {NAME}"
VALUES = worlds.changed("production.checkpoint_every", 1)
VALUES["experiments"][NAME] = {
    **{**worlds.SHORT_LATENT, "method": "l3dvar", "slots": 1, "suite": "sizes"},
    **{"members": 2, "inflation": 0.3, "days": 1},
}
VALUES["minimiser"] = {"evaluations": 3, "degrees_of_freedom_every": 0, "worst_reduction": 1.0}
VALUES["autoencoders"]["main"]["corrections"] = 0
VALUES["sizes"] = {"spin_up_days": 0}
STOP = 2  # windows analysed, all before the last checkpoint
WORK = ["checkpoint.safetensors", "ledger.jsonl", "feedback-00000001.parquet", "members-00000002.nc"]
ARCHIVE = ["geopotential/c.1.0.0.0", "2m_temperature_spread/c.0.0.0", "zarr.json", "geopotential/zarr.json"]
ARCHIVE += ["time/c.0", "latitude/c.0", "latitude/zarr.json"]


class Killed(BaseException):
    """What no code of ours catches."""


@pytest.fixture(scope="module")
def undisturbed(world, tmp_path_factory):
    """What the experiment leaves when nothing happens."""
    run = worlds.copied(world, tmp_path_factory.mktemp("undisturbed") / "w", VALUES)
    assert worlds.lara(run.layout.root, WORDS) == 0
    return worlds.outputs(run, NAME)


@pytest.fixture(scope="module")
def killed(world, tmp_path_factory):
    """The run after an end in its next window; not to be touched."""
    run = worlds.copied(world, tmp_path_factory.mktemp("killed") / "w", VALUES)
    analyse = cycle.analyse

    def interrupted(*arguments):
        for number, analyses in enumerate(analyse(*arguments)):
            if number == STOP:
                raise Killed
            yield analyses

    cycle.analyse = interrupted
    try:
        with pytest.raises(Killed):
            worlds.lara(run.layout.root, WORDS)
    finally:
        cycle.analyse = analyse
    return run


def test_the_job_goes_on_after_its_last_checkpoint_when_nothing_is_damaged(killed, undisturbed, tmp_path, caplog):
    """Else the tests below would show nothing; two windows are left to be analysed."""
    run = worlds.copied(killed, tmp_path / "w")
    assert worlds.lara(run.layout.root, WORDS) == 0
    assert "goes on after window 2 of 4" in caplog.text
    assert "anew" not in caplog.text
    assert worlds.outputs(run, NAME) == undisturbed


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", WORK)
def test_damaged_notes_are_named_and_all_is_made_again(killed, undisturbed, tmp_path, caplog, file, damage):
    """No row of the feedback is lost, no member, and no window is told twice."""
    run = worlds.copied(killed, tmp_path / "w")
    spoil(run.layout.cycled(NAME).work / file, damage)
    assert worlds.lara(run.layout.root, WORDS) == 0
    assert worlds.outputs(run, NAME) == undisturbed
    if file != checkpoints.CHECKPOINT or damage != "missing":
        (line,) = [record.message for record in caplog.records if "begins anew" in record.message]
        assert file in line


@pytest.mark.parametrize("damage", ["missing", "halved", "a zeroed block", "a flipped bit"])
@pytest.mark.parametrize("file", ARCHIVE)
def test_a_damaged_archive_is_made_whole(killed, undisturbed, tmp_path, caplog, file, damage):
    """States are read back and made again; what only describes them is written again, and the job goes on."""
    run = worlds.copied(killed, tmp_path / "w")
    spoil(run.layout.archive(NAME) / file, damage)
    assert worlds.lara(run.layout.root, WORDS) == 0
    assert worlds.outputs(run, NAME) == undisturbed
    state = "/c." in file and not file.startswith(("time", "latitude"))
    assert ("cycling begins anew" in caplog.text) == state
    assert ("goes on after window 2" in caplog.text) == (not state)


@pytest.mark.parametrize("folder", ["", "geopotential", "latitude"])
def test_a_folder_that_is_gone_from_the_archive_is_made_again(killed, undisturbed, tmp_path, caplog, folder):
    run = worlds.copied(killed, tmp_path / "w")
    shutil.rmtree(run.layout.archive(NAME) / folder)
    assert worlds.lara(run.layout.root, WORDS) == 0
    assert worlds.outputs(run, NAME) == undisturbed
    assert ("cycling begins anew" in caplog.text) == (folder != "latitude")


@pytest.mark.parametrize("damage", ["empty", "halved", "text", "a flipped bit"])
def test_damage_to_what_is_newer_than_the_checkpoint_costs_nothing(killed, undisturbed, tmp_path, caplog, damage):
    """A line of the ledger and a part that no checkpoint knows."""
    run = worlds.copied(killed, tmp_path / "w")
    work = run.layout.cycled(NAME).work
    ledger = (work / "ledger.jsonl").read_bytes()
    spoilt = DAMAGES[damage](ledger.splitlines(keepends=True)[-1]) or b""
    (work / "ledger.jsonl").write_bytes(ledger + spoilt)
    (work / "feedback-00000003.parquet").write_bytes(spoilt)
    assert worlds.lara(run.layout.root, WORDS) == 0
    assert "goes on after window 2 of 4" in caplog.text
    assert worlds.outputs(run, NAME) == undisturbed


@pytest.mark.parametrize("damage", ["text", "zeroed", "a zeroed block"])
def test_status_tells_of_a_damaged_ledger_and_of_all_other_streams(killed, tmp_path, capsys, damage):
    run = worlds.copied(killed, tmp_path / "w")
    ledger = run.layout.cycled(NAME).work / "ledger.jsonl"
    spoil(ledger, damage)
    table = status(run).set_index("experiment")
    if damage != "zeroed":  # without an end of a line there is none
        assert str(ledger) in table.loc[NAME, "state"]
    assert table.loc["free", "state"] == "waiting"


def test_a_file_that_changes_while_a_job_runs_is_found_before_anything_is_sealed(killed, tmp_path, monkeypatch, capsys):
    """The first call names it, and the next makes all again."""
    run, resume = worlds.copied(killed, tmp_path / "w"), checkpoints.Journal.resume

    def resumed(journal, device):
        found = resume(journal, device)
        spoil(journal.folder / "feedback-00000001.parquet", "a zeroed block")
        return found

    monkeypatch.setattr(checkpoints.Journal, "resume", resumed)
    assert worlds.lara(run.layout.root, WORDS) == 2
    assert "feedback-00000001.parquet" in (line := capsys.readouterr().err) and "begins anew" in line
    assert not run.layout.archive_receipt(NAME).exists()
    monkeypatch.undo()
    assert worlds.lara(run.layout.root, WORDS) == 0
