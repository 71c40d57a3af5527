"""Every figure file draws what it keeps, states unit and n, has a caption, and costs nothing to plan."""

import inspect
import os
import re
import shutil
import subprocess
import sys

import matplotlib.axes
import matplotlib.table
import matplotlib.text
import pandas as pd
import pytest
import xarray as xr
import yaml

import figure_samples
import worlds
from lara import figures
from lara.figures import style
from repository import REPOSITORY

NOTEBOOK = "module://matplotlib_inline.backend_inline"  # as Jupyter sets it for whatever is started from it
UNITS = {"1", "%", "×", "s", "s⁻¹", "K", "hPa", "km", "MB", "GiB", "minutes", "σ_o"}
UNITS |= {"m s⁻¹", "m² s⁻²", "g kg⁻¹", "kg m⁻²", "MJ m⁻²"}


def kept(name, folder):
    """The sample of a figure as it reads back from the file it is kept in."""
    shown = getattr(figure_samples, name)()
    path = folder / f"{name}.{figures.files()[name].KEPT_AS}"
    if isinstance(shown, xr.Dataset):
        shown.to_netcdf(path)
        return xr.load_dataset(path)
    shown.to_csv(path, index=False)
    return pd.read_csv(path)


def words(figure):
    """Every text, those of a table's cells among them."""
    tables = figure.findobj(matplotlib.table.Table)
    cells = [cell.get_text() for table in tables for cell in table.get_celld().values()]
    return [text.get_text() for text in [*figure.findobj(matplotlib.text.Text), *cells] if text.get_text()]


def labels(figure):
    """Labels of axes, colour bars and, where there are none, headings of a table."""
    axes = [label for one in figure.findobj(matplotlib.axes.Axes) for label in (one.get_xlabel(), one.get_ylabel())]
    return [label for label in axes if label] or words(figure)


def has_unit(label):
    return label in UNITS or any(part in UNITS for part in re.findall(r"\(([^()]*)\)", label))


@pytest.mark.parametrize("name", figures.files())
def test_a_figure_draws_what_it_keeps_and_states_unit_and_n(name, tmp_path):
    """Laid out too, as saving does: text that does not fit warns only then."""
    file = figures.files()[name]
    figure = style.drawn(file.draw, kept(name, tmp_path))
    assert any(map(has_unit, labels(figure))), labels(figure)
    assert any(re.search(r"\bn = \d|\(n\)", text) for text in words(figure)), words(figure)
    figure.draw_without_rendering()


@pytest.mark.parametrize("name", figures.files())
def test_a_figure_file_says_all_that_it_is_asked(name):
    """The form of `draw` leaves it nothing to read from but the arrays."""
    file = figures.files()[name]
    assert file.CAPTION.endswith(".") and len(file.CAPTION.split()) > 5
    assert file.KEPT_AS in ("nc", "csv")
    assert len(inspect.signature(file.draw).parameters) == 1
    case = ["case"] if hasattr(file, "cases") else []
    assert list(inspect.signature(file.inputs).parameters) == ["config", "layout", *case]
    assert list(inspect.signature(file.gather).parameters) == ["run", *case]
    assert not (file.__doc__ or "").startswith(("What", "How", "Which", "Does", "Where", "Is", "Do "))


def test_every_target_that_a_file_names_is_a_rule():
    rules = "".join(path.read_text() for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")))
    for name, file in figures.files().items():
        assert file.TARGET == "all" or f"rule {file.TARGET}:" in rules, name
        assert f'drawn_by("{file.TARGET}")' in rules or f'RUN.figure("{name}")' in rules, name


def test_no_two_files_draw_one_figure():
    assert len(figures.files()) == len(list(figures.FOLDER.glob("*/[!_]*.py"))) > 30


def test_planning_imports_nothing_that_draws_or_computes():
    """Snakemake itself has numpy and pandas; what is more would slow every plan and every start of a job."""
    code = "import sys; from lara import figures; figures.files(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {"matplotlib", "xarray", "torch", "scipy", "zarr", "dask"} & set(done.stdout.split())
    assert found == set()


@pytest.mark.parametrize("name", figures.files())
def test_a_configuration_without_what_a_figure_shows_is_told_what_to_add(name, tmp_path):
    """One experiment of the default suite and nothing else."""
    values = worlds.changed("single_observations", {})
    values["experiments"] = {"l4dvar": values["experiments"]["l4dvar"]}
    values |= {"osse": {}, "observed_once": ["l4dvar"]}
    run = worlds.write_config(tmp_path, values)
    picture = figures.pictures(run.config).get(name)
    if hasattr(figures.files()[name], "cases"):
        assert picture is None
    elif figures.files()[name].inputs(run.config, run.layout):
        assert all(str(tmp_path) in str(path) for path in picture.inputs(run.config, run.layout))
    else:
        with pytest.raises(ValueError, match=rf"nothing for figure '{name}' to show: add .*{picture.file.NEEDS[-9:]}"):
            picture.inputs(run.config, run.layout)


def test_a_picture_of_a_case_is_found_by_its_name():
    """The longest name of a file counts: `single_observation_east` is no `fig4_single_observation`."""
    found = figures.picture_of("single_observation_far_east")
    assert (found.case, found.category) == (("far_east",), "background error")
    assert figures.picture_of("fig4_single_observation").case == ()


@pytest.mark.parametrize("backend", [NOTEBOOK, "qtagg", "no such backend"])
def test_a_job_draws_whatever_backend_its_environment_names(tmp_path, backend):
    """Inherited from the notebook that Snakemake was started from; nothing of it is installed here."""
    run = worlds.write_config(tmp_path / "tiny", yaml.safe_load((REPOSITORY / "config" / "tiny.yaml").read_text()))
    run.layout.costs.parent.mkdir()
    figure_samples.costs().to_csv(run.layout.costs, index=False)
    command = [sys.executable, "-m", "lara.cli", "draw-figure", "--figure", "costs", "--run", str(run.layout.root)]
    done = subprocess.run(command, env={**os.environ, "MPLBACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert run.layout.figure("costs").read_bytes()[:4] == b"\x89PNG"


NEW = '''"""Number of analyses of each experiment."""

from __future__ import annotations

import pandas as pd

TARGET = "figures"
KEPT_AS = "csv"
CAPTION = "Number of analyses of each experiment, by which the others are to be read."


def inputs(config, layout):
    """Scores of the default suite."""
    return [layout.finished_scores(name) for name in config.suite("reanalysis")]


def gather(run):
    """Experiment and n."""
    return pd.DataFrame({"experiment": run.config.suite("reanalysis"), "n": 1})


def draw(table):
    """A bar for each."""
    from matplotlib.figure import Figure

    return Figure()
'''


@pytest.mark.slow
def test_a_new_figure_is_one_file(tmp_path):
    """In a copy of the repository: with the file alone its target plans it, with the inputs that it names."""
    for name in ("Snakefile", "workflow", "config", "envs"):
        source = REPOSITORY / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path / name)
    (tmp_path / "workflow" / "lara" / "figures" / "analyses" / "counts.py").write_text(NEW)
    command = [sys.executable, "-m", "snakemake", "figures", "-n", "--configfile", "config/tiny.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "workflow")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(
        r"rule draw_figure_of_table:\n +input: .*verification/l4dvar.csv.*\n +output: .*figures/counts.csv", done.stdout
    )


def test_an_empty_list_of_joins_is_drawn(tmp_path):
    """A production run in one stream."""
    shown = kept("production_rmse", tmp_path).assign_attrs(joined="")
    figure = figures.files()["production_rmse"].draw(shown)
    dashed = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "--"]
    assert dashed == []
