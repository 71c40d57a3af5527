"""What the README shows works as it stands there."""

import re

import pandas as pd

from repository import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def test_the_example_opens_an_archive_with_plain_xarray(cycled, tmp_path, monkeypatch):
    """Run where `results/default` is the small run: the mean Z500 of every archived time."""
    run = cycled("l4dvar")
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "import lara" not in code
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "default").symlink_to(run.layout.root)
    monkeypatch.chdir(tmp_path)
    shown = []
    exec(code, {"print": shown.append})
    (series,) = shown
    assert isinstance(series, pd.Series)
    assert len(series) == 20  # five days of six-hourly analyses
    assert series.between(5.3e4, 5.7e4).all()
