"""A worker process: it runs one race, records its events and sends them, and hears what the server passes on."""

from __future__ import annotations

import dataclasses
from multiprocessing.connection import Connection

import torch

from lora_demo.errors import LabError
from lora_demo.events import Changed, Failed, Finished, Prepared
from lora_demo.records import Record
from lora_demo.settings import Settings
from lora_demo.steering import Command
from lora_demo.training import Race


def work(
    settings: Settings,
    run_id: str,
    record: Record,
    continues: Record | None,
    connection: Connection,
    threads: int,
) -> None:
    """Run a race to its end; its weights are kept wherever it pauses or ends."""
    torch.set_num_threads(threads)

    def hear(wait: bool) -> Command | None:
        if not (wait or connection.poll()):
            return None
        try:
            return connection.recv()
        except (EOFError, OSError):  # the server is gone
            return Command("stop")

    try:
        race = Race(settings, hear, continues and continues.past())
        for event in race.run():
            if isinstance(event, Finished):
                record.save_lanes(race)
                if not event.stopped:
                    record.save_state(race)
                event = dataclasses.replace(event, run_id=run_id)
            if isinstance(event, Prepared):
                record.save_pictures(race)
            if isinstance(event, Changed) and event.what == "paused":
                record.save_lanes(race)
            record.append(event)
            connection.send(event)
    except LabError as error:
        event = Failed(str(error), run_id)
        record.append(event)
        connection.send(event)
    except BrokenPipeError:
        return  # the server is gone
