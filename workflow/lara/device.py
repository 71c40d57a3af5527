"""Device that networks run on: the first GPU this process sees, else the processor, and never that instead of a GPU.

A job that was granted a GPU and cannot use it fails at once, with the versions that explain it, for on the processor it
would go on for days. `LARA_DEVICE` says it on purpose: "cpu" for the processor, "cuda" for a GPU or nothing.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

CHOICE = "LARA_DEVICE"  # variable that names a device, "cpu" or "cuda", whatever is granted or seen
_LOG = logging.getLogger(__name__)
_GRANTS = {  # variables that grant GPUs, with their values for none
    "SLURM_JOB_GPUS": ("",),
    "SLURM_STEP_GPUS": ("",),
    "SLURM_GPUS_ON_NODE": ("", "0"),
    "CUDA_VISIBLE_DEVICES": ("", "-1", "NoDevFiles"),
}
_MODULE = Path("/proc/driver/nvidia/version")
_REMEDY = (
    "give the job a node whose driver serves this torch, or a torch for this driver (envs/README.md), and a container "
    "its GPUs (--nv); to use the processor on purpose set gpu: 0 for its rule in the profile, or LARA_DEVICE=cpu"
)


class DeviceError(RuntimeError):
    """A GPU that was granted, or is there, and cannot be used."""


def choose() -> torch.device:
    """The device of this process. DeviceError where a GPU is granted, asked for, or seen, and cannot be used."""
    asked = os.environ.get(CHOICE, "")
    if asked not in ("", "cpu", "cuda"):
        raise DeviceError(f"{CHOICE}={asked} is no device: set it to cpu or cuda, or leave it unset")
    if asked == "cpu":
        return torch.device("cpu")
    grant, (fault, seen) = granted(os.environ), _fault()
    if not fault:
        return torch.device("cuda")
    if grant or asked or seen:
        reason = (grant and f"{grant} grants a GPU, but ") or (asked and f"{CHOICE}={asked} asks for a GPU, but ")
        raise DeviceError(f"{reason}{fault}; {driver()}, {torch_version()}: {_REMEDY}")
    if _MODULE.exists() and os.environ.get("CUDA_VISIBLE_DEVICES") is None:
        _LOG.warning("networks run on the processor: %s; %s, %s", fault, driver(), torch_version())
    return torch.device("cpu")


def granted(environment: Mapping[str, str]) -> str:
    """What grants a GPU in an environment, such as "SLURM_JOB_GPUS=0"; empty for nothing."""
    given = [key for key, none in _GRANTS.items() if environment.get(key, "").strip() not in none]
    return ", ".join(f"{key}={environment[key]}" for key in given)


def torch_version() -> str:
    """Version of torch and of the CUDA it is built for."""
    return f"torch {torch.__version__} for " + (f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA")


def driver() -> str:
    """The NVIDIA driver of this machine, from its kernel module or as nvidia-smi tells it."""
    if _MODULE.exists() and (found := re.search(r"\d{3,}\.\d+(\.\d+)?", _MODULE.read_text())):
        return f"NVIDIA driver {found[0]}"
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "no NVIDIA driver"
    said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
    return f"NVIDIA driver {said[0]}" if done.returncode == 0 else f"nvidia-smi says: {said[0]}"


def name_of(device: torch.device) -> str:
    """Name of a GPU or of the processor."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return str(torch.cpu.get_capabilities().get("cpu_name", "unknown processor"))


def _fault() -> tuple[str, bool]:
    """Why this process cannot use a GPU, empty where it can, and whether torch sees one."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if not torch.cuda.is_available():
            hints = [" ".join(str(one.message).split()) for one in said[:1]]
            return " ".join(["torch sees none", *(f"({hint})" for hint in hints)]), False
        here, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if here >= count:
            return f"process {here + 1} of this node has none, torch sees {count}", True
        return _kernel_fault(torch.device("cuda", here)), True


def _kernel_fault(device: torch.device) -> str:
    """Why a GPU runs no kernel of this torch; empty where it does."""
    major, minor = torch.cuda.get_device_capability(device)
    what = f"{torch.cuda.get_device_name(device)} (compute capability {major}.{minor})"
    built = torch.cuda.get_arch_list()
    if built and not any(_serves(code, major, minor) for code in built):
        return f"{what} is none of those that this torch is built for ({', '.join(built)})"
    try:
        torch.zeros(1, device=device).add_(1).item()
    except (RuntimeError, AssertionError) as fault:
        return f"{what} runs nothing ({str(fault).splitlines()[0]})"
    return ""


def _serves(code: str, major: int, minor: int) -> bool:
    """Whether code for an architecture, such as "sm_86" or "compute_90", runs on a device of a capability."""
    kind, _, number = code.partition("_")
    digits = re.sub(r"\D", "", number)
    own = (int(digits[:-1]), int(digits[-1]))
    return own <= (major, minor) and (kind == "compute" or own[0] == major)
