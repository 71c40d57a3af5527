"""The health of an analysis: one row of numbers per window, and the sentence with which an unhealthy one stops.

Consistency: at the minimum 2J has the expectation p, the number of data, when B and R are right (Bennett, Leslie,
Hagelberg & Powers 1993, doi:10.1175/1520-0493(1993)121<1714:TCPUAB>2.0.CO;2), and the departures show R and HBHᵀ by
themselves (`quality.desroziers`).
"""

import math

from lara.assimilation import FAILED, AssimilationError
from lara.assimilation.analysis import Analysis
from lara.assimilation.minimise import Minimum
from lara.assimilation.quality import desroziers
from lara.assimilation.search import Reason

CONVERGED = (Reason.GRADIENT, Reason.DECREASE, Reason.NOTHING)


def row(analysis: Analysis) -> dict[str, object]:
    """J, its terms and the work done; ratios of the errors found to those assumed, 1 where they are right.

    Where nothing was minimised, work is zero; where nothing was assimilated, ratios are NaN.
    """
    least, fit, start, end = analysis.minimum, analysis.fit, analysis.start, analysis.end
    observed, assumed = _consistency(analysis) if analysis.assimilated else (math.nan, math.nan)
    return {
        "begin": analysis.window.begin,
        "J_start": start.total,
        "J_end": end.total,
        "Jb_start": start.background,
        "Jb_end": end.background,
        "Jo_start": start.observations,
        "Jo_end": end.observations,
        "gradient_norm_start": least.start_gradient_norm if least else math.nan,
        "gradient_norm_end": least.gradient_norm if least else math.nan,
        "evaluations": least.evaluations if least else 0,
        "products": least.products if least else 0,
        "iterations": least.iterations if least else 0,
        "reason": _reason(analysis),
        "p": fit.used,
        "rejected": int(fit.rejected.sum()),
        "2J/p": 2 * end.total / fit.used if analysis.assimilated and fit.used else math.nan,
        "R found/assumed": observed,
        "HBHT found/assumed": assumed,
    }


def _reason(analysis: Analysis) -> str:
    if analysis.failure:
        return FAILED
    if not analysis.assimilated:
        return "no observations assimilated"
    return str(analysis.minimum.reason) if analysis.minimum else "analysed without a minimisation"


def _consistency(analysis: Analysis) -> tuple[float, float]:
    fit = analysis.fit
    ombg, oman = (fit.value - hofx for hofx in (fit.hofx_background, fit.hofx_analysis))
    ratios = desroziers(ombg[None], oman[None], fit.error_std[None], fit.background_std[None])
    return float(ratios[0]), float(ratios[1])


def require_healthy(analysis: Analysis, worst_reduction: float) -> None:
    """AssimilationError when J did not fall, or |∇J| ended above `worst_reduction` of its start unconverged."""
    least = analysis.minimum
    if least is None or least.reason in CONVERGED:
        return
    if not least.value < least.start_value:
        raise AssimilationError(
            f"window {analysis.window}: J did not fall below its start {least.start_value:.6g} in {least.evaluations} "
            f"evaluations ({least.reason}); check gradient, B and R, or raise minimiser.evaluations"
        )
    if (reduction := _reduction(least)) > worst_reduction:
        raise AssimilationError(
            f"window {analysis.window}: the minimisation did not converge: its gradient norm fell to {reduction:.2f} "
            f"of the start in {least.evaluations} evaluations ({least.reason}), {worst_reduction:g} is allowed; raise "
            "minimiser.evaluations or minimiser.worst_reduction"
        )


def _reduction(least: Minimum) -> float:
    return least.gradient_norm / least.start_gradient_norm
