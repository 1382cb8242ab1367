"""A race of a second and the record it left."""

import pytest

from lora_demo import training
from lora_demo.events import Finished
from lora_demo.records import Record
from lora_demo.settings import Settings


def run(settings: dict, folder) -> Record:
    """Train, and keep what a run keeps."""
    record = Record(folder)
    race = training.Race(Settings.parse({**settings, "learning_rate_lora": 0.05, "learning_rate_full": 0.003}))
    record.create(race.settings)
    for event in race.run():
        if isinstance(event, Finished):
            record.save_lanes(race)
        record.append(event)
    return record


@pytest.fixture
def trained(tiny_settings, tmp_path):
    """Trains with these further settings; returns the run's record."""
    return lambda **settings: run({**tiny_settings, **settings}, tmp_path / f"run {len(list(tmp_path.iterdir()))}")


@pytest.fixture
def record(trained) -> Record:
    """A plain run of all lanes."""
    return trained()
