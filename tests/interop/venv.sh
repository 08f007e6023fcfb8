#!/usr/bin/env bash
# Makes the virtual environment with the programs people run and the real data, once, and prints
# where it is; prints nothing where Python has no venv.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}

python=
for candidate in python3.11 python3.12 python3.10 python3; do
  if "$candidate" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || exit 0

venv=$target/interop/venv
# km3pipe imports pkg_resources, which newer setuptools no longer have.
wanted="km3pipe==11.0.0 controlhost==0.7.1 km3net-testdata==0.4.31 supervisor==4.3.0 setuptools<81 \
aiosmtpd==1.4.6 rocketchat_API==3.7.1 rocketchat-async==4.3.0 passlib==1.7.4"
if [ "$(cat "$venv/wanted" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv" >&2
  # Word splitting is meant: one argument per package.
  # shellcheck disable=SC2086
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-input $wanted >&2
  echo "$wanted" >"$venv/wanted"
fi
echo "$venv"
