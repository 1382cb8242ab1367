"""The headless command: the same run, the same record, no page.

    python -m lora_demo.train --config settings.yaml --record runs/mine

`settings.yaml` holds names and values of `settings.Settings`; without it the defaults run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from lora_demo.errors import LabError
from lora_demo.events import Evaluated, Event, Finished
from lora_demo.records import Record
from lora_demo.settings import Settings, SettingsError
from lora_demo.training import Race


def read_settings(path: str | None) -> Settings:
    """Settings from a YAML (or JSON) file; raises `SettingsError` where it cannot be read."""
    if path is None:
        return Settings()
    try:
        return Settings.parse(yaml.safe_load(Path(path).read_text()) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise SettingsError(f"{path!r} cannot be read as a YAML file of settings.") from None


def told(event: Event) -> str | None:
    """One line about an event worth a line."""
    if isinstance(event, Evaluated):
        return f"step {event.step}: " + ", ".join(f"{n} {lane['accuracy']:.1%}" for n, lane in event.lanes.items())
    if isinstance(event, Finished):
        return "test: " + ", ".join(
            f"{n} {lane['accuracy']:.1%}, {lane['seconds']:.1f} s" for n, lane in event.lanes.items()
        )
    return None


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", help="YAML file of settings; defaults where left out")
    parser.add_argument("--record", required=True, type=Path, help="folder for the run record; must not exist yet")
    arguments = parser.parse_args()
    try:
        settings = read_settings(arguments.config)
        if arguments.record.exists():
            raise SettingsError(f"{str(arguments.record)!r} exists already; name a new folder for the record.")
        record = Record(arguments.record)
        record.create(settings)
        race = Race(settings)
        for event in race.run():
            if isinstance(event, Finished):
                record.save_lanes(race)
            record.append(event)
            if line := told(event):
                print(line, flush=True)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
