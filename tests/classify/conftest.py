"""Records to classify with: a tiny one trained here, and adapters of every variant."""

import copy

import pytest
import torch

from lora_demo import adapters, backbones, classify, lora, training
from lora_demo.events import Finished
from lora_demo.records import Record
from lora_demo.settings import Settings

CLASSES = ["dark", "bright", "other"]


@pytest.fixture(scope="session")
def raced(tiny_backbone, tiny_cifar, tmp_path_factory):
    """A finished race and the record it left, of four steps at rates that leave a mark on every lane."""
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
    return race, record


@pytest.fixture(scope="session")
def record(raced) -> Record:
    return raced[1]


@pytest.fixture
def adapted(tiny_backbone):
    """variant -> a classifier whose adapter has random numbers in every place, on all linear layers."""

    def make(variant: str) -> classify.Classifier:
        backbone = backbones.load(tiny_backbone)
        model = copy.deepcopy(backbone.model)
        model.classifier = backbone.new_head(CLASSES, torch.Generator().manual_seed(5))
        start = torch.Generator().manual_seed(1)
        lora.inject(model, lora.TARGETS["all_linear"], 4, 6, variant=variant, generator=start)
        with torch.no_grad():
            for layer in lora.adapted_layers(model).values():
                for parameter in layer.adapter_parameters():
                    parameter += 0.1 * torch.randn(parameter.shape, generator=start)
        stored = adapters.from_model(model, backbone.name, CLASSES)
        fresh = copy.deepcopy(backbone.model)
        adapters.apply(stored, fresh)
        return classify.Classifier(backbone, fresh.eval(), CLASSES)

    return make


@pytest.fixture
def pixels(tiny_backbone) -> torch.Tensor:
    """One image [1, 3, 32, 32] as the tiny backbone sees it."""
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(3))
