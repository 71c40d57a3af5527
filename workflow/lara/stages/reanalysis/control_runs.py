"""Control runs: experiments that assimilate nothing."""

from __future__ import annotations

from functools import partial

from jaxtyping import Float
from torch import Tensor

from lara.assimilation.cycle import Start, autoencoder_only, free
from lara.assimilation.window import Window
from lara.stages.networks import RunWithNetworks
from lara.stages.reanalysis.analyst import Analyst
from lara.stages.reanalysis.model import model, slot_step


def make(run: RunWithNetworks, name: str, background: Float[Tensor, "1 c y x"], first: Window) -> Analyst:
    """The free run of an experiment, or the one that passes every background through its autoencoder."""
    chosen = run.config.experiments[name]
    way = free if chosen.method == "free" else autoencoder_only
    return Analyst(partial(way, model=model(run, chosen)), slot_step(run, chosen), Start(background))
