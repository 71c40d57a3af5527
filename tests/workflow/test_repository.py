"""What a fresh clone relies on: pins that agree, no package index named, two commands that work as written."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from lara.config import Cds
from pins import ENVS, conda, normalised, pins, requirements
from repository import REPOSITORY

# Spelt in pieces, so that this file does not name what it forbids.
HOSTS = re.compile("|".join(("pypi" + r"\.org", "python" + "hosted", r"registry\." + "npmjs", r"deb\." + "debian")))
INDEX_OPTIONS = re.compile(r"--(extra-)?" + "index-url|--find-" + r"links\b|--trusted-" + "host")


def tracked_files() -> list[Path]:
    """Files in git, or to be: everything that is not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for line in listed.stdout.splitlines() if (path := REPOSITORY / line).is_file()]


def bash_blocks(markdown: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```", markdown, flags=re.MULTILINE | re.DOTALL)


def readme_commands() -> list[str]:
    return [block.strip() for block in bash_blocks((REPOSITORY / "README.md").read_text())[:2]]


def test_the_resolution_holds_every_direct_dependency_at_its_pinned_version():
    resolved = pins(requirements("requirements.txt"))
    direct = pins(requirements("requirements.in"))
    assert direct.items() <= resolved.items(), "run `bash envs/renew.sh`"


def test_every_dependency_of_the_package_is_pinned():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    needed = {normalised(name) for name in project["project"]["dependencies"]}
    assert needed <= pins(requirements("requirements.in")).keys()
    assert project["build-system"]["requires"] == [f"setuptools=={pins(requirements('requirements.in'))['setuptools']}"]


@pytest.mark.parametrize("name", ["cpu.yaml", "gpu.yaml"])
def test_conda_environments_list_the_same_requirements_line_by_line(name):
    *packages, pip = conda(name)["dependencies"]
    assert pip["pip"] == requirements("requirements.txt"), "run `bash envs/renew.sh`"
    assert all(re.fullmatch(r"[\w-]+=[\d.]+", package) for package in packages), f"{packages}: pin exactly"


def test_no_committed_file_names_a_package_index_or_a_lock_that_does():
    files = tracked_files()
    texts = {path: path.read_bytes().decode(errors="ignore") for path in files}
    assert not [str(path.relative_to(REPOSITORY)) for path, text in texts.items() if HOSTS.search(text)]
    assert not [path for path, text in texts.items() if path.suffix != ".md" and INDEX_OPTIONS.search(text)]
    assert "uv.lock" not in {path.name for path in files}
    assert not [path for path in ENVS.iterdir() if "://" in path.read_text()]


def test_the_readme_opens_with_two_commands_of_one_line_each():
    assert [command.count("\n") for command in readme_commands()] == [0, 0]
    main, tests = readme_commands()
    assert "snakemake" in main and main.rpartition(" && ")[0] == tests.rpartition(" && ")[0], "the same set-up"
    assert tests.endswith("pytest")


def test_continuous_integration_runs_the_commands_of_the_readme():
    script = (REPOSITORY / ".ci" / "run").read_text()
    main, tests = readme_commands()
    assert tests in script
    assert main.rpartition(" && ")[2] in script


def test_the_readme_installs_with_the_pinned_uv():
    version = pins(requirements("requirements.in"))["uv"]
    assert all(f"uv=={version} " in command for command in readme_commands())


def test_the_site_profile_sends_exactly_the_rules_that_use_a_gpu_to_gpu_nodes():
    rules = "\n".join(path.read_text() for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")))
    bodies = re.split(r"^(?:rule|checkpoint) (\w+):\n", rules, flags=re.MULTILINE)
    on_gpu = {name for name, body in zip(bodies[1::2], bodies[2::2], strict=True) if re.search(r"^\s+gpu=", body, re.M)}
    on_gpu |= {heir for rule, heir in re.findall(r"^use rule (\w+) as (\w+) with", rules, re.M) if rule in on_gpu}
    profile = yaml.safe_load((REPOSITORY / "workflow" / "profiles" / "site" / "profile.yaml").read_text())
    assert profile["set-resources"].keys() == on_gpu


def test_what_the_readme_says_of_era5_exists():
    """Every key of the source, configuration, requirements file, target and profile that it names."""
    section = (REPOSITORY / "README.md").read_text().split("## ERA5")[1].split("\n## ")[0]
    keys = set(re.findall(r"`source\.(\w+)", section))
    assert keys and keys <= Cds.model_fields.keys()
    named = set(re.findall(r"(?:config|envs|workflow/profiles)/[\w./-]+", section)) - {"config/README.md"}
    assert named and not [name for name in named if not (REPOSITORY / name).exists()]
    targets = re.findall(r"^snakemake (\w+) .*--configfile \S+$", section, re.MULTILINE)
    rules = "".join(path.read_text() for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    assert targets == ["downloads", "downloads"] and "\nrule downloads:" in rules
