import pytest

from lora_demo import lora, settings
from lora_demo.settings import Settings, SettingsError


def test_nothing_asked_means_the_defaults():
    assert Settings.parse({}) == Settings()
    assert Settings().alpha == 16
    assert Settings().rank == 8


def test_what_is_written_down_reads_back_the_same():
    asked = Settings.parse({"rank": 4, "alpha": None, "lanes": ["full", "lora"], "learning_rate_lora": 0.005})
    assert Settings.parse(asked.as_dict()) == asked


def test_lanes_always_run_in_the_same_order():
    assert Settings.parse({"lanes": ["full", "head"]}).lanes == ("head", "full")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0), ("steps", 1_000_000), ("steps", "ten"), ("steps", None), ("steps", 2.5), ("steps", True),
        ("batch_size", -1), ("rank", 0), ("alpha", 0), ("alpha", float("nan")), ("targets", "everything"),
        ("variant", "qlora"), ("lanes", []), ("lanes", ["lora", "qlora"]), ("lanes", 3), ("learning_rate_full", -1e-3),
        ("learning_rate_head", float("inf")), ("seed", -1), ("backbone", ""), ("data", 7),
        ("freeze_head", "yes"), ("dtype", "int8"),
        ("targets", ["attention"]), ("dropout", 1.0),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_by_name(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.parse({name: value})


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(SettingsError, match="'rnak'"):
        Settings.parse({"rnak": 8})


@pytest.mark.parametrize("values", [None, [], "rank=8"])
def test_settings_that_are_no_mapping_are_refused(values):
    with pytest.raises(SettingsError):
        Settings.parse(values)


def test_a_whole_number_may_come_as_a_float():
    assert Settings.parse({"steps": 20.0}).steps == 20


def test_choices_are_those_the_layer_knows():
    assert settings.TARGETS.keys() == lora.TARGETS.keys()
    assert settings.VARIANTS.keys() == lora.VARIANTS.keys()
