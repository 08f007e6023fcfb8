#!/usr/bin/env bash
# The ligier against the programs people run: km3pipe's client and pump, and the older controlhost
# package, with the real dumps of km3net-testdata. FATHOM_BIN names the program under test.
# Prints one line per check and "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
export FATHOM_BIN=${FATHOM_BIN:-$target/release/fathom}
[ -x "$FATHOM_BIN" ] || { echo "no program at $FATHOM_BIN: build it, or set FATHOM_BIN" >&2; exit 2; }
FATHOM_BIN=$(realpath "$FATHOM_BIN")

python=
for candidate in python3.11 python3.12 python3.10 python3; do
  if "$candidate" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { echo "skipped: km3pipe and controlhost clients (no python3 with venv)"; exit 0; }

venv=$target/interop/venv
# km3pipe imports pkg_resources, which newer setuptools no longer have.
wanted="km3pipe==11.0.0 controlhost==0.7.1 km3net-testdata==0.4.31 setuptools<81"
if [ "$(cat "$venv/wanted" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  # Word splitting is meant: one argument per package.
  # shellcheck disable=SC2086
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-input $wanted
  echo "$wanted" >"$venv/wanted"
fi
export PYTHONDONTWRITEBYTECODE=1
exec timeout 300 "$venv/bin/python" tests/interop/clients.py
