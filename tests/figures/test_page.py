"""The page of a run says what summary.json says, shows what has been drawn, and loads nothing from elsewhere."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

import worlds
from lara.figures import page

PICTURE = base64.b64decode(  # one grey point
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
SCORES = {"rmse": {"z500": 123.4, "t850": 1.25}}
INTERVAL = {"difference": -3.21, "low": -4.5, "high": -1.5, "n": 80}
SUMMARY = {
    "name": "world",
    "autoencoders": {"main": {"compression": 8.0, "dynamical_error_over_24h_change": 0.082}},
    "forecaster": {"rmse_over_persistence": {"6": 0.4}},
    "experiments": {
        "l4dvar": {
            **{"n": 80, "begin": "2001-01-26T00:00", "analysis": SCORES, "windows": 20, "evaluations_mean": 22.5},
            "symptoms": {"biased": ["t850", "t2m"], "shifted": ["-1 steps"]},
            **{"two_j_over_p_mean": 0.85, "stop_reasons": {"gradient tolerance reached": 20}},
        },
        "free": {"n": 80, "begin": "2001-01-26T00:00", "analysis": SCORES, "windows": 20, "symptoms": {}},
    },
    "differences": {"l4dvar - free": {"z500": INTERVAL, "t850": INTERVAL}},
}


@pytest.fixture
def run(world, tmp_path):
    run = worlds.copied(world, tmp_path / "world")
    run.layout.summary.write_text(json.dumps(SUMMARY))
    run.layout.figure("rmse_over_time").parent.mkdir()
    for name in ("rmse_over_time", "single_observation_east"):
        run.layout.figure(name).write_bytes(PICTURE)
    return run


class Tags(HTMLParser):
    """Elements left open, and what is referred to."""

    def __init__(self):
        super().__init__()
        self.open, self.references = [], []

    def handle_starttag(self, tag, attrs):
        self.references += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_refers_to_what_lies_beside_it(run):
    assert worlds.lara(run.layout.root, "write-page") == 0
    tags = Tags()
    tags.feed(run.layout.page.read_text())
    assert tags.open == []
    pictures = [name.split(",")[1] for name in tags.references if name.startswith("data:image/png;base64,")]
    assert [base64.b64decode(picture) for picture in pictures] == [PICTURE, PICTURE]
    assert {"figures/rmse_over_time.pdf", "#rmse_over_time", "figures/single_observation_east.pdf"} < set(
        tags.references
    )
    assert not any(re.match(r"(?!data:)\w+:|//", name) for name in tags.references)


def test_the_page_has_scores_with_units_and_intervals_health_and_digests(run):
    text = page.page(run)
    for words in ("z500 (m2 s-2)", "<td>123</td>", "-3.21 [-4.5, -1.5]", "20 gradient tolerance reached", "0.4 at 6 h"):
        assert words in text, words
    assert re.search(r">free</td><td>20</td><td>–</td>", text)  # a control minimises nothing
    assert str(run.config.seed) in text
    assert "Analysis error of every experiment." in text


def test_the_page_names_symptoms_where_they_show_and_by_which_diagnostic(run):
    text = page.page(run)
    text = re.sub(" class=words", "", text)
    assert "<td>l4dvar</td><td>biased</td><td>t850, t2m</td><td>mean error beyond half of the RMSE</td>" in text
    assert "<td>l4dvar</td><td>shifted</td><td>-1 steps</td><td>least squared error at another time</td>" in text
    assert "<td>free</td><td>none</td>" in text


def test_without_a_summary_there_is_no_page(run, capsys):
    run.layout.summary.unlink()
    assert worlds.lara(run.layout.root, "write-page") == 2
    assert "run snakemake, which makes it" in capsys.readouterr().err


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LOOK = """<script>window.onload = () => {
  const broken = [...document.images].filter(image => !image.naturalWidth).length;
  const page = document.documentElement;
  document.title = `broken ${broken} of ${document.images.length}, beyond ${page.scrollWidth - page.clientWidth}`;
}</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine to look at the page with")
def test_a_browser_shows_every_picture_and_nothing_beyond_its_width(run, tmp_path):
    """As the browser says after loading: no picture broken, no point of the page to the right of a 1200 wide window."""
    looked = tmp_path / "looked.html"
    looked.write_text(page.page(run).replace("</body>", f"{LOOK}</body>"))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom", looked.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "<title>broken 0 of 2, beyond 0</title>" in shown
    assert "Figures: analyses" in shown
