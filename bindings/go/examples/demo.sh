#!/usr/bin/env bash
# Runs the Go quickstart against mpflags-dev with the sample definitions, and changes a flag while it runs.
# usage: demo.sh MPFLAGS_DEV QUICKSTART
set -euo pipefail
server=$1
quickstart=$2
root="$(cd "$(dirname "$0")/../../.." && pwd)"
work="$(mktemp -d)"
dev=""
finish() {
    if [ -n "$dev" ]; then kill "$dev" 2>/dev/null || true; wait "$dev" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT

cp "$root/dev/samples/definitions.json" "$work/definitions.json"
"$server" --definitions "$work/definitions.json" --token demo-token --port-file "$work/port" --verbose >"$work/dev.log" &
dev=$!
for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.05; done
[ -s "$work/port" ] || { echo "mpflags-dev did not start"; cat "$work/dev.log"; exit 1; }
echo "== mpflags-dev plays Mixpanel on port $(cat "$work/port"), with dev/samples/definitions.json"

: >"$work/quickstart.log"
"$quickstart" "http://127.0.0.1:$(cat "$work/port")" demo-token 4 >"$work/quickstart.log" 2>&1 &
run=$!
tail -n +1 -f --pid="$run" "$work/quickstart.log" &
show=$!
for _ in $(seq 100); do grep -q banner "$work/quickstart.log" && break; sleep 0.05; done
echo "== new-checkout becomes on for everybody"
sed '0,/"rollout_percentage": 0.5/s//"rollout_percentage": 1.0/' "$work/definitions.json" >"$work/next.json"
cmp -s "$work/next.json" "$work/definitions.json" && { echo "the sample has no such percentage"; exit 1; }
mv "$work/next.json" "$work/definitions.json"
status=0
wait "$run" || status=$?
wait "$show" 2>/dev/null || true
grep -q "changed: \[new-checkout\]" "$work/quickstart.log" || { echo "the quickstart did not see the change"; exit 1; }
[ "$status" -eq 0 ] || { echo "the quickstart ended with status $status"; exit 1; }
echo "== exposures that arrived at mpflags-dev"
grep 'experiment_started' "$work/dev.log" || { echo "none"; cat "$work/dev.log"; exit 1; }
echo "== stopped cleanly"
