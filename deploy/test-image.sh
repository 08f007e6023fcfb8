#!/usr/bin/env bash
# Builds the image and runs it as a stranger would: read-only root, no capabilities, health check,
# web page, ordered stop. Skips by name where buildah, podman or runc cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
for program in buildah podman runc; do
  command -v "$program" >/dev/null || { echo "skipped: container image ($program is absent)"; exit 0; }
done

work=$(mktemp -d)
cat > "$work/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
CONF
export CONTAINERS_CONF=$work/containers.conf
storage=(--storage-driver vfs --root "$work/storage" --runroot "$work/run")
name=fathom-test-$$
port=$((20000 + $$ % 10000))
finish() {
  podman "${storage[@]}" rm -f -t 0 "$name" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT

BUILDER="buildah ${storage[*]}" deploy/build-image.sh localhost/fathom:test
podman "${storage[@]}" run -d --name "$name" --read-only --cap-drop=all \
  -p "127.0.0.1:$port:8081" localhost/fathom:test >/dev/null

await() { # text, command...: waits up to 30 s for the command to succeed
  local what=$1; shift
  for _ in $(seq 300); do "$@" >/dev/null 2>&1 && { echo "ok: $what"; return; }; sleep 0.1; done
  echo "failed: $what" >&2
  podman "${storage[@]}" logs "$name" >&2 || true
  exit 1
}
await "health check" podman "${storage[@]}" healthcheck run "$name"
await "web page" curl -fsS "http://127.0.0.1:$port/healthz"
await "outputs have data" bash -c "curl -fsS http://127.0.0.1:$port/api/outputs | grep -q dom_rates"
await "status from inside" podman "${storage[@]}" exec "$name" /fathom ctl status
start=$(date +%s%N)
podman "${storage[@]}" stop -t 20 "$name" >/dev/null
code=$(podman "${storage[@]}" inspect --format '{{.State.ExitCode}}' "$name")
echo "ok: stopped in $((($(date +%s%N) - start) / 1000000)) ms, exit code $code"
[ "$code" = 0 ]
