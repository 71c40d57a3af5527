"""Reads batches of random samples by zarr-python, with its own codecs or with zarrs, in an interpreter without LARA.

    python zarr_runner.py <array> <batches.npy> <measured.json>

batches (n, b, k): rows of each of n batches of b sequences of k consecutive rows. The pipelines take turns.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import zarr
import zarrs

PIPELINES = {
    "zarr-python": "zarr.core.codec_pipeline.BatchedCodecPipeline",
    f"zarrs {zarrs.__version__}": "zarrs.ZarrsCodecPipeline",
}


def open_with(pipeline: str, path: str) -> zarr.Array:
    """The array, decoded by a codec pipeline."""
    with zarr.config.set({"codec_pipeline.path": pipeline}):
        return zarr.open_array(path, mode="r")


def main() -> None:
    """Write seconds (n) by pipeline, and a sum of what was read."""
    parser = argparse.ArgumentParser()
    for name in ("array", "batches", "measured"):
        parser.add_argument(name)
    options = parser.parse_args()
    arrays = {name: open_with(pipeline, options.array) for name, pipeline in PIPELINES.items()}
    seconds: dict[str, list[float]] = {name: [] for name in arrays}
    sums = dict.fromkeys(arrays, 0.0)
    for batch in np.load(options.batches):
        for name, array in arrays.items():
            begin = time.perf_counter()
            read = np.stack([array[int(rows[0]) : int(rows[-1]) + 1] for rows in batch])
            seconds[name].append(time.perf_counter() - begin)
            sums[name] += float(read.sum(dtype=np.float64))
    measured = {name: {"seconds": seconds[name], "sum": sums[name]} for name in arrays}
    Path(options.measured).write_text(json.dumps(measured))


main()
