import pytest

from lora_demo.presets import PRESETS
from lora_demo.settings import Settings


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_made_of_settings_that_can_be_used_and_says_what_it_is_for(name):
    preset = PRESETS[name]
    assert Settings.from_yaml(preset.settings.as_yaml()) == preset.settings
    assert preset.name == name
    assert preset.meaning.endswith((".", "?"))


def test_only_the_default_is_the_defaults():
    assert [name for name, preset in PRESETS.items() if preset.settings == Settings()] == ["default"]


def test_the_notebooks_preset_is_one_epoch_at_one_rate_under_a_random_head():
    settings = PRESETS["as in the notebook"].settings
    assert (settings.rank, settings.batch_size, settings.optimizer) == (4, 16, "adam")
    assert abs(settings.steps * 16 - 4_500) < 16  # the bundled training images, once
    assert {settings.learning_rate(lane) for lane in ("head", "lora", "full")} == {3e-5}
    assert settings.freeze_head


def test_lora_without_regret_adapts_every_layer_at_ten_times_the_rate():
    settings = PRESETS["LoRA without regret"].settings
    assert settings.targets == "all_linear"
    assert settings.learning_rate("lora") == pytest.approx(10 * settings.learning_rate("full"))


def test_sixty_seconds_on_stage_leave_time_to_start():
    assert PRESETS["60 seconds on stage"].settings.seconds < 60
