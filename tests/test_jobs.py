"""A computation in a process of its own: its results come as they are made, and it ends when nobody wants them."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_demo import jobs
from lora_demo.errors import LabError


def counted(count: int) -> Iterator[tuple[int, int]]:
    for number in range(count):
        yield os.getpid(), number


def for_ever() -> Iterator[int]:
    yield os.getpid()
    while True:
        time.sleep(0.1)


def refused() -> Iterator[int]:
    yield 1
    raise LabError("This cannot be computed.")


def killed() -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), 9)


def added(a: int, b: int) -> int:
    return a + b


@pytest.fixture
def here(monkeypatch) -> str:
    """This module under a name that a worker can import."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return Path(__file__).stem


def test_results_come_from_another_process_in_order(here, run_async):
    async def take():
        return [item async for item in jobs.results(here, "counted", 3)]

    found = run_async(take())
    assert [number for _, number in found] == [0, 1, 2]
    assert os.getpid() not in {pid for pid, _ in found}


def test_who_stops_listening_ends_the_process(here, run_async):
    async def take_one():
        stream = jobs.results(here, "for_ever")
        pid = await anext(stream)
        await stream.aclose()
        return pid

    assert not Path(f"/proc/{run_async(take_one())}").exists()


def test_a_worker_that_nobody_listens_to_any_more_ends_without_a_word(here, capfd):
    ours, theirs = jobs.CONTEXT.Pipe(duplex=False)
    ours.close()
    jobs._work(here, "counted", (3,), theirs)
    assert capfd.readouterr().err == ""


def test_a_single_result_is_awaited(here, run_async):
    assert run_async(jobs.result(here, "added", 2, 3)) == 5


@pytest.mark.parametrize(("function", "words"), [("refused", "cannot be computed"), ("killed", "ended without a word")])
def test_what_goes_wrong_there_is_a_sentence_here(here, run_async, function, words):
    async def take():
        return [item async for item in jobs.results(here, function)]

    with pytest.raises(LabError, match=words):
        run_async(take())
