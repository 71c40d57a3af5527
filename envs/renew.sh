#!/usr/bin/env bash
# Makes requirements.txt, cpu.yaml and gpu.yaml from requirements.in, peers.txt from peers.in and cloud.txt from cloud.in. Pins already in requirements.txt are kept where
# they still fit. Run from the top of the repository: bash envs/renew.sh
set -euo pipefail

.venv/bin/uv pip compile envs/requirements.in --quiet --universal --python-version 3.11 --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links --output-file envs/requirements.txt
.venv/bin/uv pip compile envs/peers.in --quiet --universal --python-version 3.11 --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links --output-file envs/peers.txt
.venv/bin/uv pip compile envs/cloud.in --quiet --universal --python-version 3.11 --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links --output-file envs/cloud.txt

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
