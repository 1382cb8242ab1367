import dataclasses
import json

import pytest
import yaml

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
        ("targets", ["attention"]), ("dropout", 1.0), ("seconds", 5), ("seconds", "soon"), ("seeds", 0), ("seeds", 6),
        ("patience", -1), ("schedule", "linear"), ("optimizer", "lion"), ("evaluate_every", 0),
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


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"rank": 4, "alpha": None, "lanes": ["lora", "full"], "learning_rate_lora": 1e-5, "seconds": 55},
        {"backbone": "a folder: with #, {braces} and 'quotes'", "freeze_head": True, "schedule": "rising"},
    ],
)
def test_a_yaml_file_holds_what_differs_from_the_defaults_and_reads_back_the_same(values):
    asked = Settings.parse(values)
    text = asked.as_yaml()
    assert Settings.from_yaml(text) == asked
    assert len(text.splitlines()) == max(1, len(values))
    assert (yaml.safe_load(text) or {}).keys() == values.keys()
    assert all("  # " in line for line in text.splitlines())


def test_an_empty_file_means_the_defaults_and_json_will_do_too():
    assert Settings.from_yaml("") == Settings()
    assert Settings.from_yaml(json.dumps(Settings(rank=2).as_dict())) == Settings(rank=2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rank: [1", "mine.yaml cannot be read as a YAML file of settings, line 1"),
        ("rank: 8\n  alpha: 3", "line 2"),
        ("\x00", "cannot be read"),
        ("- 1", "dictionary"),
        ("rank: many", "'rank' must be a whole number"),
        ("!!python/object/apply:os.system ['true']", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(text, words):
    with pytest.raises(SettingsError, match=words):
        Settings.from_yaml(text, "mine.yaml")


def test_loras_rate_follows_what_is_adapted_where_it_is_not_given():
    rates = [Settings.parse({"targets": targets}).learning_rate("lora") for targets in settings.TARGETS]
    assert rates == [2e-3, 1e-3, 1e-3]
    assert Settings.parse({"targets": "all_linear", "learning_rate_lora": 0.5}).learning_rate("lora") == 0.5


def test_every_setting_says_what_it_is():
    for field in dataclasses.fields(Settings):
        described = field.metadata
        assert described["label"], field.name
        assert described["meaning"], field.name
        if field.type.split(" ")[0] in ("int", "float"):
            assert described["minimum"] is not None, field.name
            assert described["maximum"] is not None, field.name


def test_a_rate_as_people_write_it_is_a_number():
    """YAML 1.1 takes 1e-3, without a point, for a word."""
    assert Settings.from_yaml("learning_rate_full: 1e-3\nbackbone: bundled").learning_rate_full == 1e-3


def test_a_file_that_yaml_chokes_on_is_a_sentence():
    with pytest.raises(SettingsError, match=r"mine\.yaml cannot be read"):
        Settings.from_yaml("seed: 2024-99-99", "mine.yaml")
