#!/usr/bin/env bash
# Installs km3pipe from PyPI and measures it beside fathom.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$(tests/interop/venv.sh)
[ -n "$venv" ] || { echo "no python3 with venv: km3pipe is not measured"; exec cargo bench --bench versus; }
KM3PIPE_PYTHON=$(realpath "$venv")/bin/python exec cargo bench --bench versus
