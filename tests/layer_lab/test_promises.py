"""What is measured for the three promises: sizes exactly, times only as to what is timed."""

import safetensors.torch

from lora_demo import backbones
from lora_demo.layer_lab import promises
from lora_demo.settings import Settings


def test_memory_is_counted_with_the_parts_known_from_arithmetic(tiny_settings):
    memory = promises.measure_memory(Settings.parse({**tiny_settings, "lanes": ["lora", "full"], "optimizer": "adam"}))
    full, lora = memory["full"], memory["lora"]
    assert full.gradients == full.weights
    assert full.optimizer == 2 * full.weights
    assert lora.optimizer == 2 * lora.gradients
    assert lora.gradients == 4 * (4 * 2 * (32 + 32) + 2 * 32 + 2)  # four layers of rank 2, and a head of two classes
    assert lora.weights - full.weights == 4 * 4 * 2 * (32 + 32)
    assert 0 < lora.activations < full.activations
    assert full.total == full.without_activations + full.activations


def test_activations_grow_with_the_batch_and_the_rest_does_not(tiny_settings):
    small, large = (
        promises.measure_memory(Settings.parse({**tiny_settings, "lanes": ["lora"], "batch_size": size}))["lora"]
        for size in (2, 8)
    )
    assert small.without_activations == large.without_activations
    assert large.activations > 2 * small.activations


def test_a_switch_moves_the_bytes_of_the_files(tiny_settings):
    settings = Settings.parse(tiny_settings)
    measured = promises.measure_switch(settings)
    model = promises._base_model(settings)
    assert measured.model_bytes == len(safetensors.torch.save(model.state_dict()))
    adapter = 4 * 2 * (32 + 32) + 10 * 32 + 10
    assert 4 * adapter < measured.adapter_bytes < 4 * adapter + 4000  # numbers, and a header with their names
    assert measured.adapter_seconds > 0
    assert measured.model_seconds > 0


def test_a_forward_pass_is_timed_bare_unmerged_and_merged(tiny_settings):
    measured = promises.measure_latency(Settings.parse(tiny_settings))
    assert min(measured.base, measured.unmerged, measured.merged) > 0
    assert measured.noise >= 0


def test_tasks_are_timed_in_turns(monkeypatch):
    monkeypatch.setattr(promises, "BUDGET", 0)
    told = []
    times = promises._times({"a": lambda: told.append("a"), "b": lambda: told.append("b")})
    assert told == ["a", "b", *"ab", *"ba", *"ab", *"ba", *"ab"]  # once each to warm up, then whoever went second first
    assert [len(taken) for taken in times.values()] == [promises.FEWEST_ROUNDS] * 2


def test_the_loaded_backbone_is_left_alone(tiny_backbone, tiny_settings):
    promises.measure_latency(Settings.parse(tiny_settings))
    assert backbones.load(tiny_backbone).model.classifier.out_features == 3
