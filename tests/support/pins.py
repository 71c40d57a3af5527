"""What the files under envs/ pin."""

import re
from pathlib import Path

import yaml

ENVS = Path(__file__).parents[2] / "envs"


def normalised(name: str) -> str:
    """Distribution name as package indexes compare it (PEP 503), without extras."""
    return re.sub(r"[-_.]+", "-", name.split("[")[0]).lower()


def pins(lines: list[str]) -> dict[str, str]:
    """Exact version by distribution name; refuses a line that pins nothing."""
    found = {}
    for line in lines:
        requirement = line.split("#")[0].split(";")[0].strip()
        if requirement:
            name, separator, version = requirement.partition("==")
            assert separator and re.fullmatch(r"[\w.!+-]+", version), (
                f"'{line}' is not an exact pin: write name==version"
            )
            found[normalised(name)] = version
    return found


def requirements(name: str) -> list[str]:
    return (ENVS / name).read_text().splitlines()


def conda(name: str) -> dict:
    return yaml.safe_load((ENVS / name).read_text())
