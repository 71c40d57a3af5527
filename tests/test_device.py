"""Device of a run: a GPU that was granted is used or the job fails at once, and nothing changes where none was."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
import yaml

import worlds
from lara import cli, device
from repository import REPOSITORY

VARIABLES = ["SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE", "CUDA_VISIBLE_DEVICES", "LARA_DEVICE"]
GRANTS = [("SLURM_JOB_GPUS", "0"), ("SLURM_STEP_GPUS", "3"), ("SLURM_GPUS_ON_NODE", "4"), ("CUDA_VISIBLE_DEVICES", "0")]


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No grant, no GPU, and no driver: whatever this machine has."""
    for name in [*VARIABLES, "LARA_ON_PROCESSOR", "LOCAL_RANK"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "_MODULE", tmp_path / "version")
    asking(monkeypatch, missing)


def asking(monkeypatch, run):
    """Let the module run its commands so; other modules run theirs."""
    monkeypatch.setattr(device, "subprocess", SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired))


def missing(*_, **__):
    raise FileNotFoundError("nvidia-smi")


def gpu(monkeypatch, capability=(9, 0), built=("sm_80", "sm_90"), count=1, kernel=lambda: None):
    """A GPU that torch sees."""
    real = torch.zeros

    def zeros(*shape, device=None):
        if device is not None and device.type == "cuda":
            kernel()
        return real(*shape)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(built))
    monkeypatch.setattr(torch, "zeros", zeros)


def test_without_gpu_and_grant_networks_run_on_the_processor(monkeypatch, caplog):
    """Nothing is said; nor where a variable says that there is none."""
    assert device.choose() == torch.device("cpu")
    for name, value in (("CUDA_VISIBLE_DEVICES", ""), ("CUDA_VISIBLE_DEVICES", "-1"), ("SLURM_GPUS_ON_NODE", "0")):
        monkeypatch.setenv(name, value)
        assert device.choose() == torch.device("cpu")
    assert not caplog.records


@pytest.mark.parametrize(("name", "value"), GRANTS)
def test_a_granted_gpu_that_torch_does_not_see_fails_with_the_versions_and_the_remedy(monkeypatch, name, value):
    """The variable that grants it, the driver's version, torch's and its CUDA's, and what to do."""
    monkeypatch.setenv(name, value)
    device._MODULE.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build\n")
    with pytest.raises(device.DeviceError) as caught:
        device.choose()
    message = str(caught.value)
    for part in (
        f"{name}={value}",
        "550.54.14",
        torch.__version__,
        str(torch.version.cuda),
        "gpu: 0",
        "LARA_DEVICE=cpu",
    ):
        assert part in message


def test_a_grant_of_slurm_that_another_variable_hides_fails_too(monkeypatch):
    """A step that lost its GPUs has an empty list of them."""
    monkeypatch.setenv("SLURM_JOB_GPUS", "0,1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(device.DeviceError, match="SLURM_JOB_GPUS=0,1"):
        device.choose()


@pytest.mark.parametrize(
    ("status", "out", "told"),
    [
        (0, "535.104.05\n", "NVIDIA driver 535.104.05"),
        (9, "NVIDIA-SMI has failed\n", "nvidia-smi says: NVIDIA-SMI has"),
    ],
)
def test_without_a_kernel_module_nvidia_smi_is_asked_for_the_driver(monkeypatch, status, out, told):
    done = subprocess.CompletedProcess([], status, out, "")
    asking(monkeypatch, lambda *_, **__: done)
    monkeypatch.setenv("SLURM_JOB_GPUS", "0")
    with pytest.raises(device.DeviceError, match=told):
        device.choose()


def test_what_torch_says_of_a_driver_too_old_is_told(monkeypatch):
    def unavailable():
        import warnings

        warnings.warn("The NVIDIA driver on your system is too old (found version 11040)", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(device.DeviceError, match=r"too old \(found version 11040\)"):
        device.choose()


def test_a_driver_without_a_gpu_for_torch_is_warned_of_where_nothing_is_granted(caplog):
    """A torch for processors beside a GPU: by intention, or not."""
    device._MODULE.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01  Wed Oct 27\n")
    assert device.choose() == torch.device("cpu")
    assert "470.82.01" in caplog.text and torch.__version__ in caplog.text


@pytest.mark.parametrize("built", [("sm_80", "sm_90"), ("sm_90a",), ("sm_80", "compute_80"), ("sm_89", "compute_90")])
def test_a_gpu_that_torch_is_built_for_is_used(monkeypatch, built):
    """Code for its generation up to its own capability, or code that the driver compiles."""
    gpu(monkeypatch, (9, 0), built)
    assert device.choose() == torch.device("cuda")


@pytest.mark.parametrize(("capability", "built"), [((3, 7), ("sm_50", "sm_90")), ((10, 0), ("sm_80", "sm_90"))])
@pytest.mark.parametrize("grant", [True, False])
def test_a_gpu_that_torch_is_not_built_for_is_named(monkeypatch, capability, built, grant):
    """Too old and too new; granted or merely seen, for it would fail at the first kernel."""
    if grant:
        monkeypatch.setenv("SLURM_JOB_GPUS", "0")
    gpu(monkeypatch, capability, built)
    with pytest.raises(device.DeviceError) as caught:
        device.choose()
    for part in ("Some GPU", f"{capability[0]}.{capability[1]}", *built):
        assert part in str(caught.value)


def test_a_gpu_that_runs_no_kernel_is_named(monkeypatch):
    """Seen, built for, and dead."""

    def dead():
        raise RuntimeError("CUDA error: uncorrectable ECC error encountered\nsecond line")

    gpu(monkeypatch, kernel=dead)
    with pytest.raises(device.DeviceError, match=r"Some GPU .* uncorrectable ECC error") as caught:
        device.choose()
    assert "\n" not in str(caught.value)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    gpu(monkeypatch, count=2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert device.choose() == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(device.DeviceError, match="process 3 of this node has none, torch sees 2"):
        device.choose()


def test_the_choice_of_a_user_comes_first(monkeypatch):
    """The processor beside a granted GPU; a GPU or nothing; and no other word."""
    gpu(monkeypatch)
    monkeypatch.setenv("SLURM_JOB_GPUS", "0")
    monkeypatch.setenv("LARA_DEVICE", "cpu")
    assert device.choose() == torch.device("cpu")
    monkeypatch.delenv("SLURM_JOB_GPUS")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("LARA_DEVICE", "cuda")
    with pytest.raises(device.DeviceError, match="LARA_DEVICE=cuda asks for a GPU"):
        device.choose()
    monkeypatch.setenv("LARA_DEVICE", "gpu")
    with pytest.raises(device.DeviceError, match="LARA_DEVICE=gpu is no device"):
        device.choose()


@pytest.mark.parametrize(
    "words", ["cycle-experiment --experiment l4dvar", "train-forecaster", "estimate-background-error --space main"]
)
def test_a_job_with_a_lost_gpu_ends_at_once_in_one_line(world, tmp_path, monkeypatch, capsys, words):
    """Status 2, and nothing made; on the processor on purpose the same job is refused nothing."""
    run = worlds.copied(world, tmp_path / "w")
    monkeypatch.setenv("SLURM_JOB_GPUS", "0")
    capsys.readouterr()
    assert worlds.lara(run.layout.root, words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "SLURM_JOB_GPUS=0 grants a GPU, but torch sees none" in line
    assert not run.layout.archive_receipt("l4dvar").exists()


def test_a_profile_that_gives_a_rule_no_gpu_keeps_its_command_on_the_processor(world, tmp_path, monkeypatch):
    """Though a GPU is granted to the whole: the command is named in the environment that Snakemake gives its jobs."""
    run = worlds.copied(world, tmp_path / "w")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv(cli.ON_PROCESSOR, "cycle-chunk cycle-experiment")
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment free") == 0


@pytest.mark.slow
def test_snakemake_tells_its_jobs_which_commands_get_no_gpu(tmp_path):
    """`gpu: 0` for two rules of a profile; the default, one that may be there, is no such word."""
    profile = {"set-resources": {name: {"gpu": 0} for name in ("train_forecaster", "tune_experiment")}}
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "profile.yaml").write_text(yaml.safe_dump(profile))
    code = (
        "import atexit, os, sys; from snakemake.cli import main; "
        f"atexit.register(lambda: print('kept off:', *sorted(os.environ['{cli.ON_PROCESSOR}'].split())));"
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1", "-n", "data"]
    command += ["--directory", str(tmp_path), "--configfile", str(REPOSITORY / "config" / "tiny.yaml")]
    for words, kept in ([], ""), (["--profile", str(tmp_path / "profile")], " train-forecaster tune-experiment"):
        done = subprocess.run([*command, *words], text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert f"kept off:{kept}\n" in done.stdout
