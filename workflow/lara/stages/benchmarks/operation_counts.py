"""Operations and memory of a pass through a network, counted on fake tensors, which have a shape and no values.

A product of matrices (m, k) and (k, n) counts 2mkn operations. A backward pass takes as many again for the gradient in
the input and as many for that in the weights. Meanwhile all tensors that the forward pass saves for it are held.
Attention is written out as matrix products, which counts it exactly and bounds what it saves from above.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

GRADIENT, TRAINING = 2, 3  # forward and backward pass in units of the forward one, without and with the weights'


@dataclass(frozen=True)
class Work:
    """Cost of one sample: `operations` of the forward pass, bytes `saved` for the backward one in float32."""

    operations: float
    saved: float

    def __add__(self, other: Work) -> Work:
        """One after the other."""
        return Work(self.operations + other.operations, self.saved + other.saved)

    def __mul__(self, count: float) -> Work:
        """So many times in sequence."""
        return Work(self.operations * count, self.saved * count)


def measure(make: Callable[[], Callable[[Tensor], Tensor]], shape: tuple[int, ...]) -> Work:
    """Cost of one sample of `shape` through the map that `make` builds, whose weights take no memory."""
    held: dict[int, Tensor] = {}  # by identity: operations may save one tensor together

    def keep(tensor: Tensor) -> Tensor:
        held[id(tensor)] = tensor
        return tensor

    with FakeTensorMode(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        call, state = make(), torch.empty(1, *shape, requires_grad=True)
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            call(state)
        saved = sum(tensor.numel() * tensor.element_size() for tensor in held.values())
    return Work(float(counter.get_total_flops()), float(saved))
