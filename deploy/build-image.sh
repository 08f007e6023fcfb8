#!/usr/bin/env bash
# Builds the container image: a static release binary on an empty root.
# Usage: deploy/build-image.sh [IMAGE]     (default localhost/fathom:latest)
# BUILDER names the program (buildah, podman or docker); further words of it are passed on.
set -euo pipefail
cd "$(dirname "$0")/.."
image=${1:-localhost/fathom:latest}
read -r -a builder <<<"${BUILDER:-$(command -v buildah || command -v podman || command -v docker)}"
target=$(rustc -vV | sed -n 's/^host: //p')

# With --target the flags reach the program but not the build scripts, which cannot be static.
RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --bin fathom --target "$target"

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir "$context/data" "$context/tmp"
cp "${CARGO_TARGET_DIR:-target}/$target/release/fathom" "$context/fathom"
strip "$context/fathom"
cp deploy/supervisor.toml "$context/"
case $(basename "${builder[0]}") in
  buildah) options=(bud --isolation chroot --format docker --pull-never) ;;
  podman) options=(build --format docker --pull=never) ;;
  *) options=(build) ;;
esac
"${builder[@]}" "${options[@]}" -t "$image" -f deploy/Containerfile "$context"
