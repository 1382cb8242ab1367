"""Images per second of the full lane while another program wants a core now and then, by how OpenMP's threads wait.

    .venv/bin/python tests/benchmarks/wait_policy.py [rounds]

The policies take turns, each in a process of its own, alone and beside a program that is busy a third of the time; medians.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from torch.nn import functional as F

from lora_demo import backbones

POLICIES = ("ACTIVE", "PASSIVE", "default")
BUSY = "import time\nwhile True:\n    end = time.time() + 0.05\n    while time.time() < end: pass\n    time.sleep(0.1)"


def images_per_second(batch: int = 32, steps: int = 6) -> float:
    """Forward and backward of the bundled backbone, in this process."""
    torch.set_num_threads(os.cpu_count() or 1)
    backbone = backbones.load()
    pixels, labels = torch.randn(batch, 3, *backbone.image_size), torch.zeros(batch, dtype=torch.long)
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        F.cross_entropy(backbone.model(pixel_values=pixels).logits, labels).backward()
        seconds.append(time.perf_counter() - start)
    return batch / statistics.median(seconds[2:])


def measured(policy: str) -> float:
    """The same in a process whose threads wait by `policy`."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if policy != "default":
        environment["OMP_WAIT_POLICY"] = policy
    answer = subprocess.run(
        [sys.executable, __file__, "--measure"], env=environment, capture_output=True, text=True, check=True
    )
    return float(answer.stdout)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for place in ("alone", "beside a busy program"):
        other = subprocess.Popen([sys.executable, "-c", BUSY]) if place != "alone" else None
        speeds = {policy: [] for policy in POLICIES}
        for _ in range(rounds):
            for policy in POLICIES:
                speeds[policy].append(measured(policy))
        if other:
            other.kill()
        print(f"{place:22}", *(f"{policy} {statistics.median(speeds[policy]):.0f} images/s  " for policy in POLICIES))


if __name__ == "__main__":
    print(images_per_second()) if "--measure" in sys.argv else main()
