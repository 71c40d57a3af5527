"""Every command line that a document shows can be typed as it stands, from anywhere."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from repository import REPOSITORY

DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("config/*.md"), *REPOSITORY.glob("workflow/*.md")])


def commands():
    """Lines of blocks, and what stands between backquotes in a text, that call snakemake or lara; comments cut off."""
    for document in DOCUMENTS:
        text = document.read_text()
        fenced = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
        blocks = [block for language, block in fenced if language in ("", "sh", "bash")]
        inline = re.findall(r"`((?:snakemake|lara) [^`…<>]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        lines = [line.split("   #")[0].strip() for block in blocks for line in block.splitlines()]
        yield from (line for line in [*lines, *inline] if line.startswith(("snakemake ", "lara ")))


COMMANDS = list(dict.fromkeys(commands()))


def test_the_documents_show_commands():
    """Else the tests below would test nothing."""
    assert sum(line.startswith("snakemake") for line in COMMANDS) > 8
    assert any("downloads" in line for line in COMMANDS) and any(line.startswith("lara ") for line in COMMANDS)


@pytest.mark.parametrize("line", [line for line in COMMANDS if "--configfile" in line and line.startswith("snakemake")])
def test_no_target_follows_a_file_of_configuration(line):
    """`--configfile` takes every word up to the next option."""
    words = shlex.split(line)
    files = words[words.index("--configfile") + 1 :]
    taken = files[: next((n for n, word in enumerate(files) if word.startswith("-")), len(files))]
    assert all((REPOSITORY / file).is_file() for file in taken), taken


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The files that git knows, as they are, in a folder of their own."""
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((REPOSITORY / name).read_bytes())
    return folder


def ran(words, folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(words, cwd=folder, env={**os.environ, "PATH": path}, text=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_a_documented_command_is_understood_in_a_fresh_clone(clone, line):
    """Snakemake plans it (`-n`), lara explains it (`--help`); without a profile one core is said, as Snakemake asks."""
    words = shlex.split(line)
    if words[0] == "lara":
        done = ran([*words, "--help"], clone)
    elif "--unlock" in words or "--touch" in words:
        done = ran(["snakemake", "--help"], clone)
    else:
        cores = [] if any("profile" in word for word in words) else ["--cores", "1"]
        done = ran([*words, *cores, "-n", "-q"], clone)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["snakefile", "directory"])
def test_the_default_configuration_is_found_beside_the_snakefile(clone, tmp_path, way):
    """Called from elsewhere, or made to work elsewhere."""
    where = {"snakefile": ["-s", str(clone / "Snakefile")], "directory": ["-d", str(tmp_path)]}
    done = ran(
        ["snakemake", "data", "-n", "-q", "--cores", "1", *where[way]], tmp_path if way == "snakefile" else clone
    )
    assert done.returncode == 0, done.stderr
    assert str(clone / "config" / "config.yaml") in done.stdout
