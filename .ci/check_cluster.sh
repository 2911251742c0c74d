#!/usr/bin/env bash
# The recipe of docs/cluster.md, word for word, on two machines: two network namespaces that share one wire.
# Needs root and iproute2: .ci/check_cluster.sh [FOLDER OF PYTHON'S PROGRAMS]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
programs=${1:-$root/.venv/bin}
work=$(mktemp -d)
head=head$$ node=node$$
begun=()

finish() {
    for one in "${begun[@]}"; do kill -KILL -- "-$one" 2>/dev/null || true; done
    ip netns del $head 2>/dev/null || true
    ip netns del $node 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

ip netns add $head
ip netns add $node
ip link add eth0 netns $head type veth peer name eth0 netns $node
ip -n $head addr add 10.0.0.1/24 dev eth0
ip -n $node addr add 10.0.0.2/24 dev eth0
for one in $head $node; do ip -n $one link set lo up && ip -n $one link set eth0 up; done

# The second recipe, of a checkout: it holds whatever is installed. Two workers a machine instead of eight.
mapfile -t lines < <(awk '$0 == "<!-- cluster from a checkout -->" { found = 1; next }
    found && /^```/ { if (inside) exit; inside = 1; next } inside && !/^#/' "$root/docs/cluster.md")
[ ${#lines[@]} = 3 ]
on() {  # machine, command
    echo "$1: ${2//\/path\/to\/checkout/$root}"
    (cd "$work" && exec ip netns exec "$1" env PATH="$programs:$PATH" bash -c "${2//\/path\/to\/checkout/$root}")
}
start() {
    set -m
    on "$1" "$2" >>"$work/$1.log" 2>&1 &
    begun+=($!)
    set +m
}
start $head "${lines[0]}"
sleep 3
start $head "${lines[1]/--nworkers 8/--nworkers 2}"
start $node "${lines[1]/--nworkers 8/--nworkers 2}"
sleep 5
small="--end 2011-06-30 --cov-lookback 60 --min-hist 60 --symbols SPY,TLT,GLD --json swept.json"
on $node "${lines[2]//0.20:0.01/0.20:0.03} $small" | tail -n 4
grep -c "Registered to" "$work/$head.log" "$work/$node.log"
PATH="$programs:$PATH" python - "$work/swept.json" <<'END'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    tries = json.load(file)["tries"]
assert len(tries) == 30, len(tries)
print(f"{len(tries)} tries on two machines")
END
