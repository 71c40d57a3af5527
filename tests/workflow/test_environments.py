"""The ways to install LARA agree: two sets of pins, two conda environments, two images, and the Pythons for them."""

import os
import re
import stat
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pins import ENVS, conda, normalised, pins, requirements
from repository import REPOSITORY, snakemake_elsewhere

CUDA = re.compile(r"(cuda|nvidia)-|triton$")
SITE = REPOSITORY / "workflow" / "profiles" / "site" / "profile.yaml"
APPTAINER = """#!/usr/bin/env bash
[ "$1" = --version ] && echo "apptainer version 1.3.4" && exit
printf '%s\\n' "$@" >"$CALLED"
exec "${@: -3}"
"""  # notes what it is called with and runs the command on this machine


def pythons():
    """Versions of Python in the table of envs/README.md."""
    found = re.findall(r"^\| (3\.\d+)[.\d]* \|", (ENVS / "README.md").read_text(), re.MULTILINE)
    return list(dict.fromkeys(found))


def drawn_in(name):
    """What an installed distribution needs without extras, as pinned names."""
    needed = [Requirement(line) for line in name.requires or []]
    return {normalised(each.name) for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})}


def instructions(recipe):
    """Commands of a recipe that install, one a line, without its comments."""
    text = re.sub(r"^\s*#.*\n", "", (ENVS / recipe).read_text(), flags=re.MULTILINE)
    (script,) = re.findall(r"python3 -m venv .*(?:\n\s+&& .*)*", text.replace(" \\\n", "\n"))
    return [line.strip() for line in script.splitlines()]


def copied(recipe):
    """Source and destination in the image of every file or folder that a recipe copies."""
    text = (ENVS / recipe).read_text()
    if recipe == "lara.def":
        listed = text.split("%files\n")[1].split("\n\n")[0]
        return dict(line.split() for line in listed.splitlines())
    lines = [line.split()[1:] for line in re.findall(r"^COPY .*", text, re.MULTILINE)]
    places = [(source, target) for *sources, target in lines for source in sources]
    return {source: target + (Path(source).name if target.endswith("/") else "") for source, target in places}


def container_lines():
    """The site profile's lines for an image, which stand there as comments."""
    lines = re.findall(r"^# ((?:software-deployment-method|apptainer-args): .*)$", SITE.read_text(), re.MULTILINE)
    return yaml.safe_load("\n".join(lines))


def test_the_pins_without_cuda_are_all_others():
    full, without = requirements("requirements.txt"), requirements("requirements-cpu.txt")
    assert without == [line for line in full if not CUDA.match(line.split("==")[0])], "run `bash envs/renew.sh`"
    assert len(without) < len(full)


def test_nothing_but_torch_draws_in_what_the_pins_without_cuda_lack():
    left = [each for each in distributions() if normalised(each.name) != "torch" and not CUDA.match(each.name.lower())]
    wanting = {each.name: cuda for each in left if (cuda := {name for name in drawn_in(each) if CUDA.match(name)})}
    assert not wanting


def test_what_is_installed_is_what_is_pinned():
    """By public version, as a build of torch for CPUs is 2.14.1+cpu; without CUDA, where that was chosen."""
    pinned = [Requirement(line) for line in requirements("requirements.txt")]
    different = {}
    for each in pinned:
        if each.marker is None or each.marker.evaluate():
            try:
                if not each.specifier.contains(version(each.name), prereleases=True):
                    different[each.name] = version(each.name)
            except PackageNotFoundError:
                if not CUDA.match(each.name):
                    different[each.name] = "absent"
    assert not different


def test_the_pythons_that_the_package_admits_are_those_of_the_table():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    admitted = SpecifierSet(project["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}.0" in admitted] == pythons()
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in pythons()
    checked = re.search(r"for python in (.*); do", (ENVS / "renew.sh").read_text())
    assert checked and checked[1].split() == pythons()


def test_the_conda_environments_differ_in_their_name_and_hidden_accelerators_alone():
    cpu, gpu = conda("cpu.yaml"), conda("gpu.yaml")
    assert {cpu.pop("name"), gpu.pop("name")} == {"lara-cpu", "lara-gpu"}
    assert cpu.pop("variables") == {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    assert cpu == gpu
    assert (ENVS / "cpu.post-deploy.sh").read_text() == (ENVS / "gpu.post-deploy.sh").read_text()


def test_both_images_install_the_pinned_packages_by_the_same_commands():
    docker, apptainer = instructions("Dockerfile"), instructions("lara.def")
    assert docker == apptainer
    assert any(f"uv=={pins(requirements('requirements.txt'))['uv']}" in line.split() for line in docker)
    assert any("-r requirements.txt -e ." in line for line in docker)


def test_both_images_start_from_the_python_of_the_conda_environments():
    (docker,) = re.findall(r"^FROM (\S+)$", (ENVS / "Dockerfile").read_text(), re.MULTILINE)
    (apptainer,) = re.findall(r"^From: (\S+)$", (ENVS / "lara.def").read_text(), re.MULTILINE)
    (python,) = [line for line in conda("cpu.yaml")["dependencies"] if str(line).startswith("python=")]
    assert docker == apptainer
    assert docker.startswith(python.replace("=", ":") + "-slim")


def test_what_both_images_copy_is_in_the_repository_and_lands_in_the_same_place():
    docker, apptainer = copied("Dockerfile"), copied("lara.def")
    assert docker == apptainer
    listed = subprocess.run(["git", "ls-files", *docker], cwd=REPOSITORY, capture_output=True, text=True)
    assert listed.returncode == 0
    tracked = listed.stdout.splitlines()
    assert not [name for name in docker if not any(f"{file}/".startswith(f"{name}/") for file in tracked)]
    assert docker["envs/requirements.txt"] == "/lara/requirements.txt"
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"]} <= docker.keys(), "the package is not built without them"


def test_both_images_set_the_same_variables():
    docker = re.findall(r"^ENV (.*)$", (ENVS / "Dockerfile").read_text(), re.MULTILINE)
    apptainer = (ENVS / "lara.def").read_text().split("%environment\n")[1]
    assert docker == re.findall(r"^\s+export (.*)$", apptainer, re.MULTILINE)


@pytest.fixture
def called(tmp_path, monkeypatch):
    """File of the words that a stand-in for Apptainer is called with; Snakemake finds no other Apptainer."""
    program = tmp_path / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text(APPTAINER)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLED", str(tmp_path / "called"))
    return tmp_path / "called"


@pytest.mark.slow
def test_a_job_runs_in_the_image_with_the_lines_of_the_site_profile(tmp_path, called, monkeypatch):
    """The image sees the folder that Snakemake is started in, and the graphics card."""
    monkeypatch.setenv("PWD", str(REPOSITORY))  # as a shell there sets it
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "profile.yaml").write_text(yaml.safe_dump(container_lines()))
    target = "results/tiny/observations/sites.parquet"
    words = ["--profile", str(tmp_path / "site"), "--", target]
    done = snakemake_elsewhere(tmp_path, REPOSITORY / "config" / "tiny.yaml", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    *options, image, shell, _, command = called.read_text().splitlines()
    assert (image, shell) == ("envs/lara.sif", "bash")
    assert "lara draw-sites" in command and (tmp_path / target).exists()
    assert "--nv" in options and f"--bind {REPOSITORY}:/lara " in " ".join(options)
