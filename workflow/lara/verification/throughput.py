"""Throughput of batches: windows per second, and the cost of a gradient of J, where several are assimilated at once."""

import pandas as pd

COLUMNS = ("batch", "seconds", "windows", "evaluations", "repeat")


def by_batch(table: pd.DataFrame) -> pd.DataFrame:
    """Median, lowest and highest over the repeats by batch size, ascending.

    `table`: batch (windows minimised at once), seconds (s), windows (assimilated in that time), evaluations (gradients
    of J, summed over the windows), repeat. Result: batch, rate (windows per second), gradient (seconds per gradient of
    one window), each also with _low and _high, relative (rate over that of batch 1), n (repeats). ValueError for a
    missing column and where no batch is of 1.
    """
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise ValueError(f"timings lack {', '.join(missing)}; a row has {', '.join(COLUMNS)}")
    if not (table["batch"] == 1).any():
        raise ValueError("timings hold no batch of 1, which the others are compared to; time it too")
    rates = table.assign(rate=table["windows"] / table["seconds"], gradient=table["seconds"] / table["evaluations"])
    groups = rates.groupby("batch")[["rate", "gradient"]]
    found = groups.median().join([groups.min().add_suffix("_low"), groups.max().add_suffix("_high")])
    return found.assign(relative=found["rate"] / found.loc[1, "rate"], n=rates.groupby("batch").size()).reset_index()
