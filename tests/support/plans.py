"""Plans of the small world: jobs of a dry run by rule, as if a module had been edited where that is asked for."""

import os
import subprocess
import sys

import yaml

from repository import REPOSITORY

TARGET = "results/world/reanalysis/l4dvar.zarr.receipt.json"
SNAKEMAKE = """
import os, sys
from lara.config import sources
from lara.stages import code_digest
sources.LATITUDES[5] = 8
if edited := os.environ.get("EDITED"):
    own, closure = code_digest.code_digest, code_digest.closure
    code_digest.code_digest = lambda *modules: own(*modules) + (edited if edited in closure(*modules) else "")
from snakemake.cli import main
main(sys.argv[1:])
"""  # with the small world's grid, and as if a module had been edited


def snakemake(folder, values, *arguments, edited="", package=REPOSITORY / "workflow"):
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    command = [sys.executable, "-c", SNAKEMAKE, "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1"]
    command += ["--directory", str(folder), *arguments, "--configfile", str(folder / "config.yaml")]
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "EDITED": edited, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(folder, values, target=TARGET, **changes):
    """Jobs by rule of a dry run."""
    text = snakemake(folder, values, target, "--dry-run", **changes)
    if "Nothing to be done" in text:
        return {}
    table = text.split("Job stats:")[-1].split("\n\n")[0].splitlines()
    counts = {row.split()[0]: row.split()[1] for row in table if len(row.split()) == 2}
    return {rule: int(count) for rule, count in counts.items() if count.isdigit() and rule != "total"}
