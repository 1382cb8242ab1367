"""The headless command: the same run, the same record, no page.

    python -m lora_demo.train --config settings.yaml --record runs/mine
    accelerate launch -m lora_demo.train --config settings.yaml --record runs/mine

`settings.yaml` holds names and values of `settings.Settings`; without it the defaults run. Accelerate picks the device.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from accelerate import Accelerator

from lora_demo import diagnosis
from lora_demo.errors import LabError
from lora_demo.events import Changed, Evaluated, Event, Failed, Finished, Prepared
from lora_demo.records import Record
from lora_demo.settings import Settings, SettingsError
from lora_demo.story import Story
from lora_demo.training import Race, TrainingError


def train(settings: Settings, record: Record, accelerator: Accelerator) -> None:
    """Run the race on Accelerate's device, keep it in `record`, and say how it goes.

    Raises a `LabError`: more than one process, a record that exists already, or what `Race.run` raises.
    """
    if accelerator.num_processes > 1:
        raise TrainingError(f"A race is one process for now, not {accelerator.num_processes}: use --num_processes 1.")
    if record.folder.exists():
        raise SettingsError(f"{str(record.folder)!r} exists already; name a new folder for the record.")
    record.create(settings)
    story, race = Story(), Race(settings, device=str(accelerator.device))
    try:
        for event in race.run():
            if isinstance(event, Prepared):
                record.save_pictures(race)
            if isinstance(event, Finished):
                record.save_lanes(race)
                record.save_state(race)
            record.append(event)
            story.add(event)
            if line := told(event):
                accelerator.print(line, flush=True)
    except LabError as error:
        record.append(Failed(str(error)))
        raise
    for line in (*diagnosis.stops(story), *diagnosis.problems(story)):
        accelerator.print(line)
    accelerator.print("".join(text for text, _ in story.headline()))


def told(event: Event) -> str | None:
    """One line about an event worth a line."""
    if isinstance(event, Prepared):
        return f"{event.settings['steps']} steps on {event.device} in {event.dtype}"
    if isinstance(event, Evaluated):
        return f"step {event.step}: " + ", ".join(f"{n} {lane['accuracy']:.1%}" for n, lane in event.lanes.items())
    if isinstance(event, Changed):
        return f"step {event.step}: {event.what} {event.lane}".rstrip()
    if isinstance(event, Finished):
        figures = (f"{n} {lane['accuracy']:.1%}, {lane['seconds']:.1f} s" for n, lane in event.lanes.items())
        return "test: " + "; ".join(figures)
    return None


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, help="YAML file of settings; defaults where left out")
    parser.add_argument("--record", required=True, type=Path, help="folder for the run record; must not exist yet")
    arguments = parser.parse_args()
    accelerator = Accelerator()
    try:
        train(Settings.from_file(arguments.config), Record(arguments.record), accelerator)
    except LabError as error:
        if accelerator.is_main_process:
            print(error, file=sys.stderr)
        return 1
    finally:
        accelerator.end_training()
    return 0


if __name__ == "__main__":
    sys.exit(main())
