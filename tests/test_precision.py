"""Precision of a training: bfloat16 where the device has it, and no silent change of it."""

import logging

import pytest
import torch

from lara import precision
from lara.precision import choose, emulation_cost, native_bfloat16

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def processor(monkeypatch, instructions, usable=True):
    """A processor with some instructions, which PyTorch may use or not."""
    found = {"cpu_name": "Some CPU", "avx2": True} | dict.fromkeys(instructions, True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: usable)


@pytest.mark.parametrize("instructions", [["avx512_bf16"], ["amx_bf16"], ["bf16"]])
def test_a_processor_with_instructions_for_bfloat16_trains_in_it(monkeypatch, instructions):
    """x86 with either extension, and Arm."""
    processor(monkeypatch, instructions)
    chosen = choose("auto", CPU)
    assert chosen.value == "bf16-mixed"
    assert "Some CPU" in chosen.reason
    assert instructions[0] in chosen.reason


@pytest.mark.parametrize("case", [([], True), (["avx512_f"], True), (["avx512_bf16"], False)])
def test_any_other_processor_trains_in_float32(monkeypatch, case):
    """None, AVX-512 without the extension, and one that PyTorch is kept from by its variables."""
    processor(monkeypatch, *case)
    assert choose("auto", CPU).value == "32-true"


@pytest.mark.parametrize(("capability", "value"), [((7, 5), "32-true"), ((8, 0), "bf16-mixed"), ((9, 0), "bf16-mixed")])
def test_a_gpu_trains_in_bfloat16_from_capability_8_on(monkeypatch, capability, value):
    """Turing, Ampere, Hopper."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    chosen = choose("auto", GPU)
    assert chosen.value == value
    assert "Some GPU" in chosen.reason


def test_what_has_begun_goes_on_in_its_precision(monkeypatch, caplog):
    """A job that lands on another kind of node loses nothing, and is warned of what it costs there."""
    processor(monkeypatch, [])
    monkeypatch.setattr(precision, "emulation_cost", lambda device: 12.34)
    chosen = choose("auto", CPU, begun="bf16-mixed")
    assert chosen.value == "bf16-mixed"
    assert "checkpoint" in chosen.reason
    assert "12.3 times as long" in caplog.text
    processor(monkeypatch, ["amx_bf16"])
    assert choose("auto", CPU, begun="32-true").value == "32-true"


def test_explicit_bfloat16_is_warned_of_with_its_measured_cost(monkeypatch, caplog):
    """Where it is emulated, naming the key and the remedy; where it is native, nothing is said."""
    processor(monkeypatch, [])
    monkeypatch.setattr(precision, "emulation_cost", lambda device: 8.0)
    assert choose("bf16-mixed", CPU).value == "bf16-mixed"
    assert "8.0 times as long" in caplog.text
    assert "training.precision" in caplog.text
    caplog.clear()
    processor(monkeypatch, ["avx512_bf16"])
    choose("bf16-mixed", CPU)
    choose("32-true", CPU)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_cost_of_emulation_is_measured():
    """A ratio of times of this machine: positive, and finite."""
    assert 0.01 < emulation_cost(CPU) < 1000


def test_this_processor_is_known_with_a_reason():
    """Whatever it is."""
    native, reason = native_bfloat16(CPU)
    assert isinstance(native, bool)
    assert "processor" in reason
