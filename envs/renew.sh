#!/usr/bin/env bash
# Makes from the .in files beside it: requirements.txt, requirements-cpu.txt, cpu.yaml and gpu.yaml (requirements.in),
# peers.txt (peers.in) and cloud.txt (cloud.in). Pins already there are kept where they still fit. Refuses pins of
# requirements.txt that a compiler would be needed for. Run from the top of the repository: bash envs/renew.sh
set -euo pipefail

for name in requirements peers cloud; do
    .venv/bin/uv pip compile "envs/$name.in" --quiet --universal --python-version 3.11 --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links --output-file "envs/$name.txt"
done

# Without what the CUDA build of torch brings.
grep -vE '^(cuda-|nvidia-|triton==)' envs/requirements.txt >envs/requirements-cpu.txt

# Wheels for all but two packages, which are plain Python.
for python in 3.11 3.12 3.13; do
    .venv/bin/uv pip compile envs/requirements.txt --quiet --no-deps --python-version "$python" \
        --python-platform x86_64-manylinux_2_28 --only-binary :all: --no-binary antlr4-python3-runtime \
        --no-binary connection-pool >/dev/null
done

# Snakemake copies an environment file elsewhere before use, so `-r requirements.txt` would not be found from there.
conda_environment() { # name, comment, value of CUDA_VISIBLE_DEVICES or nothing
    cat <<END
# $2
# Made by envs/renew.sh; used with \`snakemake --sdm conda\`.
name: $1
channels: [conda-forge, nodefaults]
${3:-}dependencies:
  - python=3.11.14
  - pip=25.3
  - pip:
$(sed -E 's/^(.*)$/      - "\1"/' envs/requirements.txt)
END
}

no_device=$'variables:\n  CUDA_VISIBLE_DEVICES: ""\n  JAX_PLATFORMS: cpu\n'
conda_environment lara-cpu "LARA on CPU: the packages of gpu.yaml, with the accelerators hidden." "$no_device" >envs/cpu.yaml
conda_environment lara-gpu "LARA on an NVIDIA GPU (the torch wheel brings CUDA 13)." >envs/gpu.yaml
