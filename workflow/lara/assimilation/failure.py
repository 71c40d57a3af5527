"""Windows that fail, and what is published in their place.

A window fails where its analysis is not finite, its cost did not fall, or its minimisation did not converge: tried
again, it fails alike. Its background may then stand for the analysis, flagged, so that a long run goes on; the next
background is the forecast from there, as after a window without data. Too many failures in a row are no accident.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from lara.assimilation import AssimilationError
from lara.assimilation.analysis import Analysis
from lara.assimilation.cost import Observations
from lara.assimilation.cycle import Method, Model, Start, free
from lara.assimilation.trajectory import Step
from lara.assimilation.window import Window

_LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class Forgiving:
    """A method whose failed windows are given their backgrounds as analyses.

    healthy: raises AssimilationError for an analysis that is not to be published. most: such windows in a row; 0
    forgives none. failed: how many there have just been.
    """

    method: Method
    step: Step
    healthy: Callable[[Analysis], None]
    most: int = 0
    failed: int = 0

    def __call__(self, windows: Sequence[Window], start: Start, observations: Observations) -> list[Analysis]:
        """Analyses of one window by member; of all of them the background where one member fails."""
        try:
            analyses = self.method(windows, start, observations)
            for analysis in analyses:
                self.healthy(analysis)
        except AssimilationError as fault:
            self._count(fault)
            return background_instead(windows, start, observations, self.step, str(fault))
        self.failed = 0
        return analyses

    def _count(self, fault: AssimilationError) -> None:
        """One failure more. AssimilationError where that is too many."""
        if not self.most:
            raise fault
        if self.failed >= self.most:
            raise AssimilationError(f"{fault}; so did the {self.failed} windows before it, and no more may in a row")
        self.failed += 1
        _LOG.warning("the background is published in place of an analysis that failed: %s", fault)


def background_instead(
    windows: Sequence[Window], start: Start, observations: Observations, step: Step, why: str
) -> list[Analysis]:
    """The background trajectories as the analyses, with the reason, and their fit to the observations.

    No fit where H of them is not finite; AssimilationError where they are not.
    """
    try:
        analyses = free(windows, start, observations, Model(step))
    except AssimilationError:
        nothing = observations.without(torch.ones_like(observations.error_std, dtype=torch.bool))
        analyses = free(windows, start, nothing, Model(step))
    return [replace(analysis, failure=why) for analysis in analyses]
