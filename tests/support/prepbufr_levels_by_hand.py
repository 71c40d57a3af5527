"""PrepBUFR reports as the decoder gives them, from few words, without a file."""

import pyarrow as pa

CODES = {"P": "POB", "Q": "QOB", "T": "TOB", "Z": "ZOB"}


def group(letter: str, *events: tuple, **beside: float) -> dict:
    """An observation of a level: its events (value, mark, program, reason), newest first, and what lies beside them."""
    names = (CODES[letter], f"{letter}QM", f"{letter}PC", f"{letter}RC")
    return {"events": [dict(zip(names, map(float, event), strict=True)) for event in events], **beside}


def wind(u: float, v: float, mark: int = 2, program: int = 1, reason: int = 100, error: float = 2.0) -> dict:
    event = {"UOB": u, "VOB": v, "WQM": float(mark), "WPC": float(program), "WRC": float(reason)}
    return {"events": [event], "WOE": error, "UFC": 0.0, "VFC": 0.0}


def level(category: int, pressure: tuple, drift: tuple | None = None, **groups: dict) -> dict:
    """A level with its pressure's newest event, or list of events, and perhaps drift (east, north, hours)."""
    events = pressure if isinstance(pressure[0], tuple) else (pressure,)
    where = dict(zip(("XDR", "YDR", "HRDR"), drift, strict=True)) if drift else {}
    return {"CAT": float(category), "P": group("P", *events, POE=1.0, PFC=1000.0), "drift": where, **groups}


def report(kind: int, *levels: dict, station: str = "11035", sequence: int = 1, **header: float) -> dict:
    filling = {"XOB": 16.36, "YOB": 48.25, "DHR": 0.0, "ELV": 198.0, "T29": 11.0, "SQN": float(sequence)}
    return {"SID": f"{station:8}", "TYP": float(kind), **filling, **header, "levels": list(levels)}


def decoded(*reports: dict) -> pa.StructArray:
    """What the decoder gives of reports of one kind of message."""
    return pa.array(reports)
