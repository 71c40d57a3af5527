"""The page of a run: headline table, health, provenance and every figure with its caption, in one file to be opened.

`index.html` holds its pictures, so that it can be sent and shows them inside a Snakemake report too; its links lead to
what lies beside it in the run's folder. It loads nothing from elsewhere.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from importlib.metadata import version
from typing import Any

from lara import figures, receipts, store
from lara.assimilation import FAILED
from lara.stages.reading import read_record
from lara.stages.run import Run
from lara.variables import VARIABLES

STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.25rem .7rem;border-bottom:1px solid #ddd;"
    "text-align:right;font-variant-numeric:tabular-nums}td:first-child,th:first-child,.words{text-align:left}"
    "img{max-width:100%}figure{margin:1.5rem 0}nav{columns:18rem}nav a{display:block}"
    "figcaption{color:#555}code{background:#f4f4f4;padding:0 .2em}"
)
Rows = Iterable[Sequence[str]]


def write_page(run: Run) -> None:
    """Write `index.html` from summary.json and the figures there are; FileNotFoundError without a summary."""
    receipts.write_bytes(run.layout.page, page(run).encode())


def page(run: Run) -> str:
    """The whole page."""
    summary = read_record(run.layout.summary)
    parts = [
        f"<h1>LARA run “{escape(run.config.name)}”</h1>",
        "<h2>Analyses against the truth</h2>",
        *_headline(run, summary),
        "<h2>Health</h2>",
        *_health(summary),
        "<h2>Symptoms</h2>",
        *_symptoms(summary),
        "<h2>Provenance</h2>",
        *_provenance(run),
        *_figures(run),
    ]
    head = f'<meta charset="utf-8"><title>LARA: {escape(run.config.name)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _headline(run: Run, summary: dict[str, Any]) -> list[str]:
    """RMSE of analyses by experiment and channel, and differences of the reference with their intervals."""
    headline, reference = run.config.verification.headline, run.config.verification.reference
    experiments = summary["experiments"]
    first = next(iter(experiments.values()))
    rows = [
        [name, *(_number(found["analysis"]["rmse"][c]) for c in headline), _number(found.get("two_j_over_p_mean"))]
        for name, found in experiments.items()
    ]
    names = [f"{c} ({_unit(run, c)})" for c in headline]
    pairs = [
        [
            pair,
            *(f"{_number(by[c]['difference'])} [{_number(by[c]['low'])}, {_number(by[c]['high'])}]" for c in headline),
        ]
        for pair, by in summary["differences"].items()
    ]
    return [
        f"<p>RMSE over the n = {first['n']} times from {escape(first['begin'])} UTC, area-weighted.</p>",
        _table(["experiment", *names, "2J_min/p"], rows),
        f"<p>RMSE of {escape(reference)} less that of each other, with its 95 % block-bootstrap interval.</p>",
        _table(["difference", *names], pairs),
    ]


def _health(summary: dict[str, Any]) -> list[str]:
    """Windows, work and why minimisations stopped."""
    rows = []
    for name, found in summary["experiments"].items():
        counts = dict(found.get("stop_reasons", {}))
        if failed := found.get("backgrounds_published"):
            counts[FAILED] = failed
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        work = _number(found.get("evaluations_mean"))
        rows.append([name, str(found["windows"]), work, _number(found.get("two_j_over_p_mean")), reasons or "–"])
    networks = summary["autoencoders"].items()
    errors = [[n, _number(f["compression"]), _number(f["dynamical_error_over_24h_change"])] for n, f in networks]
    forecaster = summary["forecaster"]["rmse_over_persistence"]
    skill = ", ".join(f"{_number(value)} at {lead} h" for lead, value in forecaster.items())
    return [
        _table(["experiment", "windows", "gradients per analysis", "2J_min/p", "stopped"], rows),
        _table(["autoencoder", "compression", "error over 24 h change (z, t, u, v)"], errors),
        f"<p>Forecast error over that of persistence: {skill}.</p>",
    ]


def _symptoms(summary: dict[str, Any]) -> list[str]:
    """Faults of the analyses of each experiment: where, and by which diagnostic each was recognised."""
    from lara.verification import symptoms

    rows = []
    for name, found in summary["experiments"].items():
        ailing = [[name, *_symptom(kind, places, symptoms.DIAGNOSTICS)] for kind, places in found["symptoms"].items()]
        rows += ailing or [[name, "none", "–", "–"]]
    return [
        "<p>Faults that a reanalysis may have without its RMSE telling, each looked for by a diagnostic that it alone "
        "moves; smoothing counts beyond that of the reconstruction.</p>",
        _table(["experiment", "symptom", "where", "recognised by"], rows),
    ]


def _symptom(kind: str, places: Sequence[str], diagnostics: dict[str, str]) -> list[str]:
    return [kind, ", ".join(places), diagnostics[kind]]


def _provenance(run: Run) -> list[str]:
    """What the run was made of, by content."""
    config = run.layout.config
    rows = [["LARA", version("lara")], ["configuration", receipts.digest(config.read_text())]]
    rows += [["seed", str(run.config.seed)], ["source", run.config.source.kind]]
    for name in run.config.datasets:
        path = run.layout.dataset(name)
        rows.append([f"dataset {name}", store.content_digest(path) if path.exists() else "not there"])
    links = " · ".join(
        f'<a href="{name}">{name}</a>' for name in ("config.yaml", "summary.json", "verification/", "logs/")
    )
    return [_table(["what", "digest or value"], rows), f"<p>{links}</p>"]


def _figures(run: Run) -> list[str]:
    """Figures that have been drawn, by category; each with what it is to be read for."""
    drawn = sorted(path.stem for path in run.layout.figure("any").parent.glob("*.png"))
    found: dict[str, list[str]] = {}
    for name in drawn:
        found.setdefault(figures.picture_of(name).category, []).append(name)
    ordered = sorted(found.items())
    links = [f'<a href="#{escape(name)}">{escape(name)}</a>' for _, names in ordered for name in names]
    shown = [f"<h2>Figures: {escape(c)}</h2>{''.join(_figure(run, name) for name in names)}" for c, names in ordered]
    return ["<h2>Figures</h2>", f"<nav>{''.join(links)}</nav>", *shown]


def _figure(run: Run, name: str) -> str:
    """The picture itself with its caption, and a link to the one for print."""
    data = b64encode(run.layout.figure(name).read_bytes()).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="{escape(name)}">'
    pdf = f"figures/{escape(run.layout.figure_pdf(name).name)}"
    caption = f'<b>{escape(name)}</b> (<a href="{pdf}">PDF</a>): {escape(figures.picture_of(name).file.CAPTION)}'
    return f'<figure id="{escape(name)}">{image}<figcaption>{caption}</figcaption></figure>'


def _table(head: Sequence[str], rows: Rows) -> str:
    filled = [list(row) for row in rows]
    words = [any(row[i][:1].isalpha() for row in filled) for i in range(len(head))]
    top, *body = (
        "".join(map(_cell, ["th" if row is head else "td"] * len(head), row, words)) for row in [head, *filled]
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in body)}</tbody></table>"


def _cell(kind: str, text: str, words: bool) -> str:
    """Numbers stand to the right, under each other; words to the left."""
    return f"<{kind}{' class=words' if words else ''}>{escape(text)}</{kind}>"


def _unit(run: Run, channel: str) -> str:
    return VARIABLES[run.channels.channels[run.channels.position(channel)].variable].units


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
