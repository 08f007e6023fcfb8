#!/usr/bin/env bash
# The programs people run, against ours. The ligier: km3pipe's client and pump, and the older
# controlhost package, with the real dumps of km3net-testdata. The supervisor: supervisorctl and other
# clients of supervisord. Alarms: aiosmtpd, rocketchat_API, rocketchat-async, passlib. FATHOM_BIN names the program under test.
# Prints one line per check and "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
export FATHOM_BIN=${FATHOM_BIN:-$target/release/fathom}
[ -x "$FATHOM_BIN" ] || { echo "no program at $FATHOM_BIN: build it, or set FATHOM_BIN" >&2; exit 2; }
FATHOM_BIN=$(realpath "$FATHOM_BIN")

venv=$(tests/interop/venv.sh)
[ -n "$venv" ] || { echo "skipped: other people's clients (no python3 with venv)"; exit 0; }
export PYTHONDONTWRITEBYTECODE=1
failed=0
for checks in clients supervisorctl supervisord_clients alarms; do
  timeout 300 "$venv/bin/python" "tests/interop/$checks.py" || failed=1
done
exit $failed
