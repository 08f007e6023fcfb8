#!/usr/bin/env bash
# Runs the demonstration as a newcomer would: everything RUNNING within 15 s, live plots in a
# browser, and Ctrl-C ends it all in order within 5 s. FATHOM_BIN names the program.
set -euo pipefail
cd "$(dirname "$0")/../.."
fathom=${FATHOM_BIN:-target/release/fathom}
shots=${1:-}
data=$(mktemp -d)
"$fathom" demo --data "$data" --web 127.0.0.1:0 >"$data/demo.out" 2>&1 &
demo=$!
finish() {
  kill -KILL "$demo" 2>/dev/null || true
  rm -rf "$data"
}
trap finish EXIT
fail() {
  echo "FAILED: $1" >&2
  cat "$data/demo.out" >&2
  exit 1
}
now_ms() { date +%s%3N; }

start=$(now_ms)
until "$fathom" ctl -s "$data/fathom.sock" status --ready >/dev/null 2>&1; do
  (($(now_ms) - start < 15000)) || fail "not every service is ready after 15 s"
  sleep 0.1
done
echo "ok: every service RUNNING after $(($(now_ms) - start)) ms"
"$fathom" ctl -s "$data/fathom.sock" status

web=$(python3 -c 'import json,sys; a=json.load(open(sys.argv[1])); print(next(v for k,v in a.items() if "webserver" in k))' "$data/addresses.json")
until curl -fsS "http://$web/api/outputs" | grep -q '"name":"dom_rates"'; do
  (($(now_ms) - start < 15000)) || fail "no data in the plots after 15 s"
  sleep 0.1
done
echo "ok: plots show data after $(($(now_ms) - start)) ms"

if [ -d services/web/ui/node_modules/playwright-core ]; then
  node services/web/ui/e2e/page.mjs "http://$web" $shots || fail "the page in Chromium"
else
  echo "skipped: the page in Chromium (playwright-core is not installed)"
fi

children=$(pgrep -P "$demo" || true)
start=$(now_ms)
kill -INT "$demo"
code=0
wait "$demo" || code=$?
took=$(($(now_ms) - start))
[ "$code" = 0 ] || fail "exit code $code after Ctrl-C"
((took < 5000)) || fail "$took ms to stop"
[ ! -e "$data/fathom.sock" ] || fail "the socket is still there"
for child in $children; do
  [ ! -d "/proc/$child" ] || fail "process $child is still there"
done
echo "ok: stopped in $took ms, nothing left"
