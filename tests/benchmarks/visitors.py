"""How long light actions take while a run trains and many visitors click.

    .venv/bin/python tests/benchmarks/visitors.py [visitors]

Each visitor, a session of its own as a page is, asks for the best approximation of a small matrix about once in two seconds, for
20 seconds; first with nothing else going on, then beside a run. Prints median and 95th percentile of the answers' milliseconds,
and those of the first answers, before which Gradio describes the page's components to itself once a session.
"""

import asyncio
import random
import secrets
import statistics
import sys
import time

import httpx
from gradio_client import Client
from live_page import app

SECONDS, PAUSE = 20, 2.0


async def visitor(url: str, firsts: list[float], times: list[float]) -> None:
    """Click, read, click again."""
    asked = {"data": ["1 2 3\n2 4 6\n1 0 1", 1], "session_hash": secrets.token_hex(6)}
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await asyncio.sleep(random.uniform(0, PAUSE))
        end, into = time.perf_counter() + SECONDS, firsts
        while time.perf_counter() < end:
            start = time.perf_counter()
            answer = await client.post("/gradio_api/run/low_rank", json=asked)
            answer.raise_for_status()
            into.append(1000 * (time.perf_counter() - start))
            into = times
            await asyncio.sleep(random.uniform(0.5, 1.5) * PAUSE)


async def crowd(url: str, count: int) -> tuple[list[float], list[float]]:
    """The milliseconds of the first click of `count` visitors, and of their others."""
    firsts, times = [], []
    await asyncio.gather(*(visitor(url, firsts, times) for _ in range(count)))
    return firsts, times


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with app() as url:
        time.sleep(15)  # the background imports are done by then
        alone = asyncio.run(crowd(url, count))
        job = Client(url, verbose=False).submit({"steps": 10_000, "evaluate_every": 10_000}, api_name="/train")
        while not any(event["kind"] == "step" for event in job.outputs()):
            time.sleep(0.1)
        beside = asyncio.run(crowd(url, count))
        steps = sum(event["kind"] == "step" for event in job.outputs())
        job.cancel()
    for name, (firsts, times) in (("alone", alone), (f"beside a run ({steps} steps)", beside)):
        print(
            f"{count} visitors {name}: median {statistics.median(times):.0f} ms, 95 % within {p95(times):.0f} ms, "
            f"{len(times)} clicks; the first ones {statistics.median(firsts):.0f} ms, {p95(firsts):.0f} ms"
        )


def p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * len(times))]


if __name__ == "__main__":
    main()
