"""Convergence of minimisers: the work to come near the minimum of J, window by window.

With J* the lowest value that any minimisation of a window found, run far beyond need, and J_k the lowest one found in
the first k evaluations, the excess is J_k / J* - 1. A minimisation is counted until its excess is at most a given
fraction; one that never comes so near counts as infinite, so that a median over windows stays honest where some fail.
J is a positive sum of squares, whose value at the minimum is about half the number of observations, so a per cent of
J* is a shift of the same statistical weight in every window.
"""

import numpy as np
import pandas as pd

COLUMNS = ("method", "window", "evaluation", "value", "best", "converged", "seconds")


def excess(table: pd.DataFrame) -> pd.Series:
    """J_k / J* - 1 (1) of each row. ValueError for a missing column, and where J* is not positive.

    Columns: method, window, evaluation (gradients of J so far, from 1), value (J there), best (lowest J so far),
    converged (J* of the window), seconds (since the start of the minimisation).
    """
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise ValueError(f"minimisations lack {', '.join(missing)}; a row has {', '.join(COLUMNS)}")
    wrong = table[~(table["converged"] > 0)]
    if len(wrong):
        row = wrong.iloc[0]
        raise ValueError(
            f"window {row['window']} converged to J* = {row['converged']}; an excess needs a positive J*, "
            "so leave out windows without observations"
        )
    return table["best"] / table["converged"] - 1


def to_within(table: pd.DataFrame, fraction: float = 0.01) -> pd.DataFrame:
    """First evaluation and second at which each (method, window) is within `fraction` of J*; infinite if never.

    `table` as in `excess`, rows in any order. Columns: method, window, evaluations (1), seconds (s).
    """
    rows = table.assign(excess=excess(table)).sort_values(["window", "evaluation"], kind="stable")
    groups = ["method", "window"]
    near = rows[rows["excess"] <= fraction].groupby(groups, sort=False)[["evaluation", "seconds"]].first()
    tried = pd.MultiIndex.from_frame(table[groups].drop_duplicates())
    found = near.astype(float).reindex(tried, fill_value=np.inf)
    return found.rename(columns={"evaluation": "evaluations"}).reset_index()


def medians(reached: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles over windows of `to_within`, a row per method in order of appearance.

    Columns: method, evaluations, seconds, each also with _low and _high (quartiles), n (windows), reached (windows
    that came within the fraction). A quartile may be infinite.
    """
    return pd.DataFrame([_summary(str(method), rows) for method, rows in reached.groupby("method", sort=False)])


def _summary(method: str, rows: pd.DataFrame) -> dict[str, object]:
    reached = int(np.isfinite(rows["evaluations"]).sum())
    found: dict[str, object] = {"method": method, "n": len(rows), "reached": reached}
    for name in ("evaluations", "seconds"):
        # Interpolating between a finite value and infinity would make NaN: take the order statistics themselves.
        low, middle, high = np.quantile(rows[name], [0.25, 0.5, 0.75], method="inverted_cdf")
        found |= {name: middle, f"{name}_low": low, f"{name}_high": high}
    return found


def bands(table: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles of the excess over windows against evaluations, a row per (method, evaluation).

    A minimisation that has stopped keeps its last excess. Columns: method, evaluation, median, low, high, n.
    """
    rows = table.assign(excess=excess(table))
    parts = [_band(str(method), one) for method, one in rows.groupby("method", sort=False)]
    return pd.concat(parts, ignore_index=True)


def _band(method: str, rows: pd.DataFrame) -> pd.DataFrame:
    each = rows.pivot(index="evaluation", columns="window", values="excess").sort_index()
    each = each.reindex(range(int(each.index[0]), int(each.index[-1]) + 1)).ffill()
    low, middle, high = each.quantile([0.25, 0.5, 0.75], axis=1).to_numpy()
    quartiles = {"median": middle, "low": low, "high": high, "n": each.notna().sum(axis=1).to_numpy()}
    return pd.DataFrame({"method": method, "evaluation": each.index, **quartiles})
