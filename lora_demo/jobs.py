"""A long computation in a process of its own: its results come one by one, and it ends when nobody wants them any more."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Iterator
from multiprocessing.connection import Connection
from typing import Any

from lora_demo.errors import LabError
from lora_demo.processes import CONTEXT

POLL_SECONDS = 0.02


class JobError(LabError):
    """A computation's process ended without its results."""


async def results(module: str, function: str, *args: Any) -> AsyncIterator[Any]:
    """What the generator `module.function(*args)` yields, computed in a worker process; both name a function so that this process
    need not import it. Who stops iterating ends the process.

    Raises what `LabError` the function raises, and `JobError` where the process was ended from outside.
    """
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_work, args=(module, function, args, theirs), daemon=True)
    process.start()
    theirs.close()  # so that the worker's end is the only one, and its death is seen as the end of the pipe
    try:
        while True:
            while not ours.poll():
                await asyncio.sleep(POLL_SECONDS)
            kind, value = ours.recv()
            if kind == "result":
                yield value
            elif kind == "error":
                raise value
            else:
                return
    except EOFError:
        raise JobError("The computation’s process ended without a word, as it does when memory runs out.") from None
    finally:
        process.kill()
        process.join()
        ours.close()


async def result(module: str, function: str, *args: Any) -> Any:
    """What `module.function(*args)` returns, computed as `results` does."""
    computed = results(module, function, *args)
    try:
        return await anext(computed)
    finally:
        await computed.aclose()


def _work(module: str, function: str, args: tuple, connection: Connection) -> None:
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    try:
        found = getattr(importlib.import_module(module), function)(*args)
        for value in found if isinstance(found, Iterator) else [found]:
            connection.send(("result", value))
        connection.send(("end", None))
    except LabError as error:
        connection.send(("error", error))
    except BrokenPipeError:
        return  # whoever asked is gone
