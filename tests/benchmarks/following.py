"""What it costs a run to be followed: its training speed with nobody looking, with the page's handler, with a client.

    .venv/bin/python tests/benchmarks/following.py [rounds] [steps]

The server and its worker are those of the app, the handler is the Train tab's own at two updates a second, and the client is
gradio_client reading every event over HTTP, from a process of its own. Runs take turns; each ratio is the median of the rounds'
own. Steps are timed where their events arrive. Needs an idle machine.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("LORA_LAB_RUNS", tempfile.mkdtemp())
os.environ.setdefault("OMP_NUM_THREADS", "1")  # both as app.py does
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from lora_demo import processes, runs
from lora_demo.events import Step
from lora_demo.settings import Settings
from lora_demo.ui import page
from lora_demo.ui.train import following

WARM_UP = 10  # steps, in which the client's process starts too
VALUES = {"steps": 100, "evaluate_every": 100}  # so that the spectra of the layers come after every step
CLIENT = (
    "import json, sys; from gradio_client import Client\n"
    "for _ in Client(sys.argv[1], verbose=False).submit(json.loads(sys.argv[2]), api_name='/train'): pass"
)


def timed(take):
    """`Run._take`, which also notes when each step arrives."""

    def noting(run: runs.Run, event) -> None:
        if isinstance(event, Step):
            run.__dict__.setdefault("arrivals", []).append(time.perf_counter())
        take(run, event)

    return noting


def steps_per_second(run: runs.Run, steps: int) -> float:
    """Of the first `steps` after the warm-up; then the run is stopped: its end is no matter here."""
    while len(getattr(run, "arrivals", ())) <= WARM_UP + steps:
        time.sleep(0.5)
    run.stop()
    while not run.over:
        time.sleep(0.1)
    return steps / (run.arrivals[WARM_UP + steps] - run.arrivals[WARM_UP])


def alone(url: str, steps: int) -> float:
    return steps_per_second(runs.start(Settings.parse(VALUES), "nobody"), steps)


def page_handler(url: str, steps: int) -> float:
    async def look(run_id: str) -> None:
        async for _ in following.follow(run_id, []):
            pass

    run = runs.start(Settings.parse(VALUES), "somebody")
    looking = threading.Thread(target=asyncio.run, args=(look(run.id),))
    looking.start()
    speed = steps_per_second(run, steps)
    looking.join()
    return speed


def client(url: str, steps: int) -> float:
    before = set(runs._RUNS)
    process = subprocess.Popen([sys.executable, "-c", CLIENT, url, json.dumps(VALUES)])
    while not (new := set(runs._RUNS) - before):
        time.sleep(0.05)
    speed = steps_per_second(runs._RUNS[new.pop()], steps)
    process.wait()
    return speed


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    runs.GRACE_SECONDS = float("inf")
    runs.Run._take = timed(runs.Run._take)
    demo = page.build()
    demo.launch(**page.launch_options(), prevent_thread_lock=True)
    processes.warm_up()
    speeds = {follower: [] for follower in (alone, page_handler, client)}
    for _ in range(rounds):
        for follower, found in speeds.items():
            found.append(follower(demo.local_url, steps))
    print(f"{os.cpu_count()} cores, {rounds} rounds of {steps} steps, three lanes")
    for follower, found in speeds.items():
        ratio = statistics.median(one / base for one, base in zip(found, speeds[alone], strict=True))
        print(
            f"{follower.__name__.replace('_', ' '):14} {statistics.median(found):6.2f} steps/s   {ratio:.3f} of alone"
        )
    demo.close()


if __name__ == "__main__":
    main()
