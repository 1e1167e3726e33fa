#!/usr/bin/env bash
# torch.distributed.all_reduce with gloo gives other sums for the same numbers at other places of one tensor.
#
# Three processes hold 100000000, 1 and -100000000 in float32. Added in the order of ranks that is 0 (the 1 is lost), in another order 1. One
# expects one order: every element of a tensor filled with these numbers gets the same sum.
# Seen: the tensor is cut into pieces that go around a ring, each from another process on, so that a third of the places of a long one has 1 and the others
# have 0, and how long the tensor is decides which. So the gradient of one weight depends on which other weights share its bucket, and a
# network trained with DistributedDataParallel by three or more processes is not the one that adding the same gradients in turn gives. With two
# processes both orders are the same. All ranks have the same result.
#
# Shown with torch 2.13.0 on a CPU.
# In hilum: replicas gather their gradients and add them in the order of ranks (decision 21), so that they are the same bytes as in one process.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 'numpy<3'
cat > look.py <<'PYTHON'
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

HELD = (1e8, 1.0, -1e8)
SIZES = (1, 3, 4, 9, 4000)
PAIR = 2  # processes for which there is one order


def sums(rank: int, count: int, folder: str) -> None:
    """All sums of tensors filled with one number, by each rank into a file."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet{count}", rank=rank, world_size=count)
    found = []
    for size in SIZES:
        tensor = torch.full((size,), HELD[rank])
        dist.all_reduce(tensor)
        found.append(tensor)
    torch.save(found, f"{folder}/{count}-{rank}")
    dist.destroy_process_group()


if __name__ == "__main__":
    print("torch", torch.__version__.partition("+")[0])
    folder = str(Path.cwd())
    for count in (PAIR, len(HELD)):
        mp.spawn(sums, args=(count, folder), nprocs=count)
    first, *others = [torch.load(f"{folder}/3-{rank}") for rank in range(len(HELD))]
    for size, tensor in zip(SIZES, first):
        print(f"{size} places: {int((tensor == 0).sum())} have 0, {int((tensor == 1).sum())} have 1")
    same = all(torch.equal(a, b) for other in others for a, b in zip(first, other))
    print("all ranks agree:", same)
    pairs = {value for tensor in torch.load(f"{folder}/2-0") for value in tensor.tolist()}
    print("two processes, 100000000 and 1:", *pairs)
    differs = [tensor.unique().tolist() for tensor in first]
    sys.exit(0 if differs == [[0.0], *[[0.0, 1.0]] * 4] and same and len(pairs) == 1 else 1)
PYTHON
venv/bin/python look.py
