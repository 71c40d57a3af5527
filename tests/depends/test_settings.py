"""One answer to what cycling depends on: keys that a rule plans by, that a restart belongs to, and that are read."""

import copy
import sys

import pytest

import worlds
from lara import config
from lara.config import ConfigError, sections
from lara.depends.settings import Settings
from lara.stages.networks import RunWithNetworks
from lara.stages.reanalysis import streams
from lara.stages.reanalysis.provenance import identity

STREAM = {"one": {"begin": "2001-01-02", "end": "2001-01-04", "chunk_days": 1}}
EXPERIMENTS = {"eda": "20010102T00", "free": "20010102T00"}  # one that reads most keys, and one that reads few
VALUES = worlds.changed("production", {"streams": dict.fromkeys(EXPERIMENTS, STREAM)})
VALUES["experiments"]["free"] = {"method": "free", **worlds.SHORT, "suite": "osse"}
BASE = config.parse(copy.deepcopy(VALUES))
WORDS = {  # other values of keys that take few words
    "method": ["lbfgs", "gauss-newton", "l4dvar", "autoencoder-only"],
    "thinning": ["none", "thin", "superob"],
    "latent_covariance": ["diagonal", "block"],
    "on_failure": ["stop", "background"],
    "kind": ["gaussian", "equiangular", "pca", "transformer"],
    "blacklist": ["other.csv"],
}


def leaves(values, path=()):
    """Every key of a configuration, as a path, with its value."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


LEAVES = dict(leaves(BASE.model_dump(mode="json")))


def others(path, value):
    """Other values that a key may take."""
    if path[-1] in WORDS:
        return [word for word in WORDS[path[-1]] if word != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, 2 * value, value / 2, 0, 0.5]
    if value == {}:
        return [{"t": 9}]
    if value is None:
        return [1, 0.5, "other", {}]
    if isinstance(value, list):
        return [value[:-1], value[:1], [2 * one for one in value if isinstance(one, int | float)]]
    return ["other", "2001-01-01T06:00:00", "2001-01-05T00:00:00"]


def with_another(path):
    """The configuration with one key changed; None where no other value of it fits the rest."""
    for value in others(path, LEAVES[path]):
        values = BASE.model_dump(mode="json")
        section = values
        for key in path[:-1]:
            section = section[key]
        section[path[-1]] = value
        try:
            changed = config.parse(values)
        except ConfigError:
            continue
        if changed != BASE:
            return changed
    return None


def planned_by(chosen, name):
    """What the rule of a chunk has as parameters."""
    (chunk, *_) = chosen.production.chunks(name)
    return Settings(chosen).chunk(name, chunk)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_key_changes_the_identity_of_a_restart_if_and_only_if_its_chunk_is_made_again(world, name):
    """Key by key of all sections, with all else and all files as they are: else a chunk would refuse a restart that
    nothing makes again, or go on from one of other settings."""
    tried, before = set(), {}
    for chosen in [BASE, *map(with_another, LEAVES)]:
        if chosen is None or not chosen.production.streams.get(name):
            continue
        run = RunWithNetworks(chosen, world.layout)
        try:
            (chunk, *_) = chosen.production.chunks(name)
            mine = streams.stretch(run, name, chunk)
            found = planned_by(chosen, name), (identity(run, name, mine.first), mine.windows)
        except (FileNotFoundError, ValueError):  # of another space or dataset, which has no files here
            continue
        before = before or found
        path = next((path for path, value in leaves(chosen.model_dump(mode="json")) if LEAVES.get(path) != value), ())
        assert (found[0] == before[0]) == (found[1] == before[1]), path
        tried.add(path)
    assert len(tried) > 120
    assert {path[0] for path in tried if path} >= {"quality_control", "minimiser", "forecaster", "archive"}


def test_keys_of_screening_reach_analyses_by_what_screening_leaves_alone():
    """A threshold of a check before the analysis changes no parameter of a chunk; of one within it, it does."""
    for key, counts in {"gross_check": False, "thinning": False, "huber": True, "background_check": True}.items():
        changed = with_another(("quality_control", key))
        assert (planned_by(changed, "eda") != planned_by(BASE, "eda")) == counts, key
        assert planned_by(changed, "free") == planned_by(BASE, "free"), key


# What else cycling may read: what the digest of an input says, or what changes no value of a result.
SAID_BY_INPUTS = ("autoencoders.", "forecaster.", "datasets.")
HOW = ("name", "production.checkpoint_every", "experiments.eda.days", "experiments.eda.on_failure")
HOW += ("experiments.eda.most_failures", "experiments.eda.suite", "verification.headline")


def test_every_key_that_cycling_reads_is_one_that_its_chunk_is_planned_by(world, tmp_path, monkeypatch):
    """Reads are watched while a chunk is cycled."""
    run, read, watching = worlds.copied(world, tmp_path / "w", VALUES), {}, []
    own, cycle = sections.Section.__getattribute__, streams.cycle_stretch

    def watched(section, name):
        asked_by = sys._getframe(1).f_globals["__name__"]
        if watching and name in type(section).model_fields and asked_by != "lara.depends.stated":
            read[id(section), name] = section
        return own(section, name)

    def watch(*arguments):
        watching.append(True)
        cycle(*arguments)
        watching.clear()

    monkeypatch.setattr(sections.Section, "__getattribute__", watched)
    monkeypatch.setattr(streams, "cycle_stretch", watch)
    assert worlds.lara(run.layout.root, f"cycle-chunk --chunk eda/one/{EXPERIMENTS['eda']}") == 0
    monkeypatch.undo()
    (root,) = {id(one): one for one in read.values() if isinstance(one, config.Config)}.values()
    keys = {key for key, section, name in dotted(root) if (id(section), name) in read}
    assert {"experiments.eda.inflation", "minimiser.evaluations", "quality_control.huber"} <= keys
    unexplained = {key for key in keys if not key.startswith(SAID_BY_INPUTS) and key not in HOW}
    for key in unexplained:
        changed = with_another(tuple(key.split(".")))
        assert changed is None or planned_by(changed, "eda") != planned_by(BASE, "eda"), key


def dotted(section, prefix=""):
    """(key, section, field) of every key that holds no section."""
    for name in type(section).model_fields:
        value, key = getattr(section, name), f"{prefix}{name}"
        if isinstance(value, sections.Section):
            yield from dotted(value, f"{key}.")
        elif isinstance(value, dict) and any(isinstance(one, sections.Section) for one in value.values()):
            for part, one in value.items():
                yield from dotted(one, f"{key}.{part}.")
        else:
            yield key, section, name
