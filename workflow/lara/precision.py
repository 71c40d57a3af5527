"""Arithmetic of training steps: bfloat16 where the device computes in it, float32 where it would be emulated.

An NVIDIA GPU has bfloat16 from compute capability 8 on, a processor with the instructions avx512_bf16 or amx_bf16, as
long as neither ATEN_CPU_CAPABILITY nor ONEDNN_MAX_CPU_ISA keeps PyTorch from them. Elsewhere each product is emulated
and takes several times as long as in float32.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

_LOG = logging.getLogger(__name__)
_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")  # of x86 and, the last, of Arm, as PyTorch names them
_SIZES = (2048, 768, 192)  # of the products that are timed: tokens of a batch, hidden and token width of the default
_TURNS = 5


@dataclass(frozen=True)
class Precision:
    """`value` as lightning-fabric names it, "bf16-mixed" or "32-true", and the `reason` for it in words."""

    value: str
    reason: str


def choose(asked: str, device: torch.device, begun: str | None = None) -> Precision:
    """Precision of a training on a device; `asked` is "auto" or a value, `begun` that of its checkpoint.

    A training that has begun keeps its precision under "auto", wherever it goes on. Emulated bfloat16 is warned of,
    with what it costs on this device.
    """
    native, reason = native_bfloat16(device)
    chosen = Precision("bf16-mixed" if native else "32-true", reason)
    if asked != "auto":
        chosen = Precision(asked, "training.precision asks for it")
    elif begun is not None and begun != chosen.value:
        chosen = Precision(begun, f"its checkpoint was made in it, though {reason}")
    if chosen.value == "bf16-mixed" and not native:
        _LOG.warning(
            "precision bf16-mixed, but %s: a product of matrices takes %.1f times as long here as in float32; set "
            "training.precision to auto or 32-true, or train on a device that has it",
            reason,
            emulation_cost(device),
        )
    return chosen


def native_bfloat16(device: torch.device) -> tuple[bool, str]:
    """Whether a device computes in bfloat16, and the fact that says so."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        word = "computes" if major >= 8 else "does not compute"
        name = torch.cuda.get_device_name(device)
        return major >= 8, f"{name} (compute capability {major}.{minor}) {word} in bfloat16"
    capabilities = torch.cpu.get_capabilities()
    name, found = capabilities["cpu_name"], [key for key in _INSTRUCTIONS if capabilities.get(key)]
    if not found:
        return False, f"the processor ({name}) has no instructions for bfloat16"
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        level = torch.backends.cpu.get_cpu_capability()
        return False, f"PyTorch is kept from the instructions of the processor ({name}) for bfloat16 ({level})"
    return True, f"the processor ({name}) has instructions for bfloat16 ({', '.join(found)})"


def emulation_cost(device: torch.device) -> float:
    """Seconds of a product of matrices in bfloat16 over those in float32, the least of some turns each."""
    rows, inner, columns = _SIZES
    left, right = torch.randn(rows, inner, device=device), torch.randn(inner, columns, device=device)
    low = left.bfloat16(), right.bfloat16()
    return _least_seconds(lambda: low[0] @ low[1]) / _least_seconds(lambda: left @ right)


def _least_seconds(product: Callable[[], torch.Tensor]) -> float:
    taken = []
    for _ in range(_TURNS):
        begin = time.perf_counter()
        float(product()[0, 0])  # waits for the device
        taken.append(time.perf_counter() - begin)
    return min(taken)
