"""NCEP's own reading of a report: the text that its program debufr prints."""

import re
from collections import defaultdict
from pathlib import Path

LINE = re.compile(r"^\d{6}\s+(\S+)\s+(\S+)")


def levels(path: Path) -> list[dict[str, list[float]]]:
    """Of the report itself and then of every level, the values of each mnemonic in the order of their events."""
    found = [defaultdict(list)]
    for line in path.read_text().splitlines():
        if "REPLICATION #" in line:
            found.append(defaultdict(list))
        elif (match := LINE.match(line)) and re.fullmatch(r"-?[\d.]+|MISSING", match[2]):
            found[-1][match[1]].append(float("nan") if match[2] == "MISSING" else float(match[2]))
    header, *rest = map(dict, found)
    return [header, *(level for level in rest if "CAT" in level)]
