"""A finished race and the record it left."""

import pytest
from PIL import Image

from lora_demo import training
from lora_demo.events import Finished
from lora_demo.records import Record
from lora_demo.settings import Settings


@pytest.fixture(scope="session")
def record(tiny_backbone, tiny_cifar, tmp_path_factory) -> Record:
    """A run of four steps at rates that leave a mark on every lane."""
    small = {"steps": 4, "batch_size": 8, "rank": 2, "evaluate_every": 2, "dtype": "float32"}
    rates = {"learning_rate_lora": 0.05, "learning_rate_full": 0.01}
    settings = Settings.parse({"backbone": tiny_backbone, "data": tiny_cifar, **small, **rates})
    record = Record(tmp_path_factory.mktemp("record") / "run")
    race = training.Race(settings)
    record.create(settings)
    for event in race.run():
        if isinstance(event, Finished):
            record.save_lanes(race)
        record.append(event)
    return record


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """Noise, larger than the network wants it."""
    return Image.effect_noise((50, 40), 90).convert("RGB")
