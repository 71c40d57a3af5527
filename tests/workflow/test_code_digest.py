"""The code a rule depends on: every module that its stage imports, whatever imports it, and no comment or docstring.

Who imports whom is asked of grimp, which import-linter builds on; modules are edited one at a time, in a copy that the
digest reads in the place of the module's own source.
"""

import ast
import re

import grimp
import pytest

import worlds
from lara import figures
from lara.commands import COMMANDS
from lara.config import load
from lara.stages import code_digest
from lara.stages.reanalysis import cycle, provenance
from repository import REPOSITORY

RULES = REPOSITORY / "workflow" / "rules"
UNTRACKED = {"download-month", "generate-dataset", "forecast-states", "train-autoencoder", "train-forecaster"}
UNTRACKED |= {f"import-{part}" for part in ("statistics", "network", "background-error", "dataset")}
BY_HAND = {"verify-archive", "attribute-archive", "prune-archive", "verify", "prune", "status"}
TEXT = "".join(path.read_text() for path in sorted(RULES.glob("*.smk")))
TRACKED = {
    rule: match.group(1)
    for rule, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", TEXT, re.M | re.S)
    if (match := re.search(r'code=code\("([\w-]+)"\)', body))
}
PACKAGE = code_digest.PACKAGE
SOURCES = {
    ".".join(("lara", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
READ = code_digest._file


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Function: have the digest read a module in another wording."""

    def edit(module, source):
        path = tmp_path / f"{module}.py"
        path.write_text(source)
        monkeypatch.setattr(code_digest, "_file", lambda name: path if name == module else READ(name))

    return edit


def planned(before):
    """Rules whose digest has changed."""
    return {rule for rule, digest in digests().items() if digest != before[rule]}


def digests():
    """Digest by rule."""
    return {rule: code_digest.code_digest(*COMMANDS[command].modules) for rule, command in TRACKED.items()}


def importers():
    """Rules by module that their stage imports, with the packages that are imported on the way."""
    graph = grimp.build_graph("lara", exclude_type_checking_imports=True, cache_dir=None)
    for name in [name for name in graph.modules if code_digest._left_out(name)]:
        graph.remove_module(name)
    for name in list(graph.modules):  # a package's own code runs before that of its modules
        package = name.rpartition(".")[0]
        if package and package in graph.modules:
            graph.add_import(importer=name, imported=package)
    found = {name: set() for name in graph.modules}
    for rule, command in TRACKED.items():
        for module in COMMANDS[command].modules:
            for name in {module, *graph.find_upstream_modules(module)}:
                found[name].add(rule)
    return found


def reworded(source):
    """The source with another word in every docstring, and comments at its ends."""
    lines = source.encode().splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) or not ast.get_docstring(node):
            continue
        text = node.body[0].value
        line = lines[text.lineno - 1]
        at = line.index(b'"""', text.col_offset) + 3
        lines[text.lineno - 1] = line[:at] + b"Edited: " + line[at:]
    return "# edited\n" + b"".join(lines).decode() + "\n# edited\n"


def test_every_rule_tracks_the_code_of_the_command_it_runs():
    """But those whose results are dear: what was downloaded, made of it or trained."""
    assert {rule.replace("_", "-"): command for rule, command in TRACKED.items()} == {
        command: command for command in TRACKED.values()
    }
    assert set(COMMANDS) - set(TRACKED.values()) == UNTRACKED | BY_HAND | {"install-peers", "draw-figure"}


def test_a_figure_tracks_its_own_module_and_no_other_figures(edited):
    """The rule that draws asks for the code of the command and of the figure's module."""
    pictures = figures.pictures(load(REPOSITORY / "config" / "config.yaml"))

    def drawn():
        return {
            name: code_digest.code_digest(*COMMANDS["draw-figure"].modules, picture.module)
            for name, picture in pictures.items()
        }

    before, module = drawn(), pictures["analysis_maps"].module
    edited(module, SOURCES[module].read_text() + "\nEDITED = 1\n")
    after = drawn()
    assert [name for name in pictures if after[name] != before[name]] == ["analysis_maps"]
    assert 'code("draw-figure", PICTURES[wildcards.figure].module)' in TEXT


def test_an_edit_of_any_module_plans_exactly_the_rules_whose_stage_imports_it(edited):
    before, importing = digests(), importers()
    assert len([name for name in importing if importing[name]]) > 150
    for module, rules in importing.items():
        edited(module, SOURCES[module].read_text() + "\nEDITED = 1\n")
        assert planned(before) == rules, module


def test_an_edit_of_a_docstring_or_a_comment_anywhere_plans_nothing(edited):
    before = digests()
    for module, path in SOURCES.items():
        source = path.read_text()
        assert reworded(source) != source
        edited(module, reworded(source))
        assert not planned(before), module


def test_edits_that_no_list_of_modules_saw_are_seen(edited):
    """A sign in the relaxation of forecasts, in the encoder, in the weights of H, in the normalisation."""
    before = digests()
    for module, old, new in (
        ("lara.stages.networks", "return forecast - (state", "return forecast + (state"),
        ("lara.autoencoder", "first - encode(decode(latent))", "first + encode(decode(latent))"),
        ("lara.grid", "(1 - south) * east", "south * east"),
        ("lara.normalise", "(x - self.mean)", "(x + self.mean)"),
    ):
        source = SOURCES[module].read_text()
        assert old in source, module
        edited(module, source.replace(old, new, 1))
        assert {"cycle_experiment", "cycle_chunk"} <= planned(before), module


def test_a_module_that_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match=r"lara\.stages\.nothing is not in"):
        code_digest.code_digest("lara.stages.nothing")


def test_whatever_a_cycling_job_imports_belongs_to_its_identity(edited):
    """So that it resumes nothing that other code began."""
    before = code_digest.code_digest(*provenance.STAGE)
    for module in sorted(code_digest.closure(*COMMANDS["cycle-chunk"].modules, *COMMANDS["cycle-experiment"].modules)):
        edited(module, SOURCES[module].read_text() + "\nEDITED = 1\n")
        assert code_digest.code_digest(*provenance.STAGE) != before, module


class Killed(BaseException):
    """Ends a job where it is."""


def test_a_job_killed_before_an_edit_does_not_resume(world, tmp_path, monkeypatch, edited):
    """All windows are analysed by the edited code; without the edit the job goes on after its last checkpoint."""
    for edit, again in ((False, 1), (True, 2)):
        run = worlds.copied(world, tmp_path / f"{edit}", worlds.changed("production.checkpoint_every", 1))
        seen, analyse = [], cycle.analyse

        def counted(*arguments, analyse=analyse, seen=seen):
            for analyses in analyse(*arguments):
                seen.append(str(analyses[0].window))
                if len(seen) == 3:
                    raise Killed
                yield analyses

        monkeypatch.setattr(cycle, "analyse", counted)
        with pytest.raises(Killed):
            worlds.lara(run.layout.root, "cycle-experiment --experiment free")
        if edit:
            edited("lara.grid", SOURCES["lara.grid"].read_text() + "\nEDITED = 1\n")
        assert worlds.lara(run.layout.root, "cycle-experiment --experiment free") == 0
        assert seen.count(seen[0]) == again
        monkeypatch.setattr(cycle, "analyse", analyse)
