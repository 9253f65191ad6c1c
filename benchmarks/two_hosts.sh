#!/bin/sh
# One process, two processes on this host, and two hosts of one process each give the same losses.
#
# The hosts are two network namespaces with their own addresses, joined by a virtual cable. Needs root, ip (iproute2)
# and `make setup`. Usage: sh benchmarks/two_hosts.sh [FOLDER]
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
python=${PYTHON:-"$root/.venv/bin/python"}
work=${1:-$(mktemp -d)}
first=steno-host-a second=steno-host-b
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE MLFLOW_DISABLE_TELEMETRY=true

clean_up() {
    ip netns delete "$first" 2>/dev/null || true
    ip netns delete "$second" 2>/dev/null || true
}
trap clean_up EXIT INT TERM

mkdir -p "$work"
rm -rf "$work/one" "$work/two" "$work/host-a" "$work/host-b" "$work"/*.losses
PYTHONPATH="$root/tests" "$python" - "$work" <<'PYTHON'
import sys
from pathlib import Path

import tiny

work = Path(sys.argv[1])
tiny.corpus(work, "train", 50, seed=1)
tiny.corpus(work, "dev", 6, seed=2)
# Batches that no number of processes divides, and no dropout, which each process draws for itself.
tiny.write_recipe(
    work / "tiny.yaml",
    work,
    data={"batch_size": 7},
    model={"dropout": 0.0},
    augment={"speed": [0.9, 1.0, 1.1], "mask": {"time_width": 0.2}},
    training={"epochs": 4, "log_utterances": True},
)
PYTHON

# NAME COMMAND…: a training in a folder of its own, with its losses in NAME.losses.
train() {
    name=$1
    shift
    STENO_TEST_LOSSES="$work/$name.losses" "$@" "$root/tests/training/driver.py" \
        train "$work/tiny.yaml" --to "$work/$name" --no-track >"$work/$name.log" 2>&1
}

echo "one process"
train one "$python"
echo "two processes on one host"
train two "$python" -m torch.distributed.run --standalone --nproc-per-node 2

echo "two hosts"
clean_up
ip netns add "$first"
ip netns add "$second"
ip link add steno-a netns "$first" type veth peer name steno-b netns "$second"
ip -n "$first" address add 10.231.77.1/30 dev steno-a
ip -n "$second" address add 10.231.77.2/30 dev steno-b
for host in "$first steno-a" "$second steno-b"; do
    ip -n "${host% *}" link set lo up
    ip -n "${host% *}" link set "${host#* }" up
done
on_host() { # NAMESPACE DEVICE RANK NAME
    train "$4" ip netns exec "$1" env GLOO_SOCKET_IFNAME="$2" "$python" -m torch.distributed.run \
        --nnodes 2 --node-rank "$3" --nproc-per-node 1 --master-addr 10.231.77.1 --master-port 29531
}
on_host "$second" steno-b 1 host-b &
other=$!
on_host "$first" steno-a 0 host-a
wait "$other"
test ! -e "$work/host-b/checkpoints" # one host writes

"$python" - "$work" <<'PYTHON'
import sys
from pathlib import Path

work = Path(sys.argv[1])
losses = {name: [float(line) for line in (work / f"{name}.losses").read_text().split()] for name in ("one", "two", "host-a")}
seen = {name: sorted(line.split("\t")[0::3] for line in (work / name / "utterances.tsv").read_text().splitlines()) for name in losses}
one = losses["one"]
print(f"{len(one)} steps, loss {one[0]:.4f} to {one[-1]:.4f}; greatest difference from one process:")
failed = False
for name in ("two", "host-a"):
    assert len(losses[name]) == len(one)
    apart = max(abs(a - b) for a, b in zip(one, losses[name], strict=True))
    same = seen[name] == seen["one"]
    print(f"  {name:8} {apart:.2e}   utterances seen: {'the same' if same else 'OTHERS'}")
    failed |= apart > 1e-4 or not same
sys.exit(failed)
PYTHON
