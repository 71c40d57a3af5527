"""Stated values: a key at its first default says nothing, wherever it stands, and a default changed later does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field
from pydantic_core import PydanticUndefined

from lara.config import Section, load
from lara.depends.settings import Settings
from lara.depends.stated import first_default, stated
from repository import REPOSITORY

KNOWN = Path(__file__).with_name("first_defaults.json")
IDENTITIES = """
import json, sys
from pathlib import Path
from lara.depends.settings import Settings
from lara.stages.models.train import identity as training
from lara.stages.networks import RunWithNetworks
from lara.stages.reanalysis.provenance import identity
from lara.stages.experiments import all_windows
from lara.config import sources
sources.LATITUDES[5] = 8
run = RunWithNetworks.open(Path(sys.argv[1]))
assert hasattr(run.config.minimiser, "ema") == (sys.argv[2] == "new")
asked = Settings(run.config)
found = {name: identity(run, name, all_windows(run, name)[0]) for name in ("l4dvar", "free")}
found |= {name: training(run, name, "32-true") for name in ("main", "forecaster")}
found["experiment"], found["dataset"] = asked.experiment("l4dvar"), asked.dataset("test")
found["autoencoder"], found["structure"] = asked.autoencoder("main"), asked.structure("free")
found["description"] = run.description(run.config.forecaster)
print(json.dumps(found, sort_keys=True))
"""


class Inner(Section):
    width: int = 4
    depth: int = 2


class Outer(Section):
    kind: Literal["outer"] = "outer"
    name: str
    rate: float = Field(4.0, json_schema_extra={"first_default": 16.0})
    inner: Inner = Inner(width=8)
    parts: dict[str, Inner] = Field(default_factory=dict)
    phases: tuple[Inner, ...] = (Inner(),)


def sections(of=Section):
    """Every section of the package."""
    return [
        one for kind in of.__subclasses__() for one in (kind, *sections(kind)) if one.__module__.startswith("lara.")
    ]


def test_what_differs_is_stated_and_what_tells_kinds_apart():
    """By hand; a section within is there, whatever it states."""
    assert stated(Outer(name="a")) == {"kind": "outer", "name": "a", "rate": 4.0, "inner": {"width": 8}}
    found = stated(Outer(name="a", rate=16, inner=Inner(), parts={"b": Inner(depth=3)}, phases=(Inner(width=1),)))
    assert found == {
        "kind": "outer",
        "name": "a",
        "inner": {},
        "parts": {"b": {"depth": 3}},
        "phases": [{"width": 1}],
    }
    assert "rate" not in stated(Outer(name="a"), exclude={"rate"})


def test_what_is_stated_tells_configurations_apart():
    """Two values of one key never state the same."""
    seen = [json.dumps(stated(Outer(name="a", rate=rate)), sort_keys=True) for rate in (1, 4, 16)]
    assert len(set(seen)) == 3


def test_a_key_that_there_is_not_is_refused_and_one_at_its_default_is_not():
    asked = Settings(load(REPOSITORY / "config" / "tiny.yaml"))
    assert asked.of("quality_control.huber") == {"quality_control.huber": None}
    with pytest.raises(KeyError):
        asked.of("quality_control.hubber")


def test_no_first_default_ever_changes():
    """A new key is added to the list; a changed default names the first one in `json_schema_extra`."""
    found = {}
    for section in sections():
        for key, field in section.model_fields.items():
            default = first_default(field)
            if not isinstance(default, Section | type(PydanticUndefined)) and section.__annotations__.get(key):
                found[f"{section.__name__}.{key}"] = repr(default)
    known = json.loads(KNOWN.read_text())
    changed = {key: (known[key], found.get(key, "gone")) for key in known if known[key] != found.get(key, known[key])}
    assert not changed, f"first defaults changed (first, now): {changed}"
    assert not found.keys() - known.keys(), f"add to {KNOWN.name}: {sorted(found.keys() - known.keys())}"


@pytest.mark.slow
def test_a_key_more_in_every_section_changes_no_identity(world, later):
    """Neither of a training nor of a cycling job, no parameter of Snakemake, and no weights are refused for it."""

    def identities(package, version):
        command = [sys.executable, "-c", IDENTITIES, str(world.layout.root), version]
        environment = {**os.environ, "PYTHONPATH": str(package)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert identities(later, "new") == identities(REPOSITORY / "workflow", "old")
