#!/usr/bin/env bash
# Runs changes.py against mpflags-dev with the sample definitions, and changes a flag while it runs.
# usage: demo.sh MPFLAGS_DEV PYTHON
set -euo pipefail
server=$1
python=$2
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
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
for _ in $(seq 200); do [ -s "$work/port" ] && break; sleep 0.05; done
[ -s "$work/port" ] || { echo "mpflags-dev did not start"; cat "$work/dev.log"; exit 1; }
echo "== mpflags-dev plays Mixpanel on port $(cat "$work/port"), with dev/samples/definitions.json"

export MPFLAGS_TOKEN=demo-token MPFLAGS_POLL_SECONDS=0.2
MPFLAGS_API_HOST="http://127.0.0.1:$(cat "$work/port")"
export MPFLAGS_API_HOST
"$python" "$here/changes.py" 5 >"$work/python.log" 2>&1 &
run=$!
tail -n +1 -f --pid="$run" "$work/python.log" &
show=$!
for _ in $(seq 200); do grep -q "^banner .*user 3" "$work/python.log" && break; sleep 0.05; done
sleep 0.5
echo "== search-page-size: the large variant becomes 500"
sed 's/"value": 50,/"value": 500,/' "$work/definitions.json" >"$work/next.json"
cmp -s "$work/next.json" "$work/definitions.json" && { echo "the sample has no such value"; exit 1; }
mv "$work/next.json" "$work/definitions.json"
status=0
wait "$run" || status=$?
wait "$show" 2>/dev/null || true
[ "$status" -eq 0 ] || { echo "changes.py ended with status $status"; exit 1; }
grep -q "search-page-size.*500" "$work/python.log" || { echo "changes.py did not see the change"; exit 1; }
echo "== exposures that arrived at mpflags-dev"
grep 'experiment_started' "$work/dev.log" || { echo "none"; cat "$work/dev.log"; exit 1; }
echo "== stopped cleanly"
