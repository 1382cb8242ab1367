"""Memory of the server and all its processes before, during and after runs, in MB.

    .venv/bin/python tests/benchmarks/memory.py [runs] [steps]

Anonymous and shared memory, pages that several of the processes share counted once; without files' pages, whose share changes
with what else the machine runs. The figure that counts is by how much a run raises the last column over the first.
"""

import contextlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("LORA_LAB_RUNS", tempfile.mkdtemp())

import psutil

from lora_demo import processes, runs
from lora_demo.settings import Settings


def megabytes() -> float:
    """Of this process and all that came of it."""
    me, kilobytes = psutil.Process(), 0
    for process in (me, *me.children(recursive=True)):
        with contextlib.suppress(OSError):  # has just ended
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            kilobytes += sum(map(int, re.findall(r"^Pss_(?:Anon|Shmem): +(\d+)", rollup, re.M)))
    return kilobytes * 1024 / 1e6


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    runs.GRACE_SECONDS = float("inf")
    processes.warm_up()
    print(f"{'run':>4} {'before':>8} {'most':>8} {'after':>8}")
    for number in range(1, times + 1):
        before, most = megabytes(), 0.0
        run = runs.start(Settings.parse({"steps": steps}), "benchmark")
        while not run.over or psutil.pid_exists(run.worker_pid):
            most = max(most, megabytes())
            time.sleep(0.5)
        print(f"{number:4} {before:8.0f} {most:8.0f} {megabytes():8.0f}", flush=True)


if __name__ == "__main__":
    main()
