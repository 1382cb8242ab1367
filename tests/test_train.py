"""The headless command, run as a person runs it."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lora_demo import adapters, train
from lora_demo.events import Finished, Prepared, Step
from lora_demo.records import Record
from lora_demo.settings import Settings
from lora_demo.training import TrainingError

ROOT = Path(__file__).parents[1]
PLAIN = (sys.executable, "-m", "lora_demo.train")
LAUNCH = (sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--cpu", "-m", "lora_demo.train")


def command(start: tuple, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run([*start, *map(str, arguments)], cwd=ROOT, env=os.environ, capture_output=True, text=True)


@pytest.fixture
def here(monkeypatch, capsys):
    """The same in this process: the exit status and what was printed."""

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
        status = train.main()
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def config(tiny_settings, tmp_path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(Settings.parse(tiny_settings).as_yaml())
    return path


@pytest.mark.parametrize("start", [PLAIN, LAUNCH], ids=["python", "accelerate launch"])
def test_the_command_leaves_the_record_of_the_same_race(start, config, tiny_settings, run_race, tmp_path):
    record = Record(tmp_path / "runs" / "mine")
    done = command(start, "--config", config, "--record", record.folder)
    assert done.returncode == 0, done.stderr
    told = list(record.events())
    assert record.settings == Settings.parse(tiny_settings)
    assert isinstance(told[0], Prepared)
    assert isinstance(told[-1], Finished)
    _, here = run_race(tiny_settings)
    assert [e.losses for e in told if isinstance(e, Step)] == [e.losses for e in here if isinstance(e, Step)]
    assert record.lanes == ["head", "lora", "full"]
    assert adapters.load(record.folder / "adapter").classes == ["dark", "bright"]
    assert record.can_continue
    assert record.pictures().startswith(b"\x89PNG")
    lines = done.stdout.splitlines()
    assert any(line.startswith("step 4: head ") for line in lines)
    assert lines[-1].startswith("LoRA reached ")


def test_what_goes_wrong_in_a_run_is_said_at_its_end(here, tiny_settings, tmp_path):
    weak = {"steps": 40, "lanes": ["full"], "learning_rate_full": 1e-7, "learning_rate_head": 1e-7}
    config = tmp_path / "settings.yaml"
    config.write_text(Settings.parse({**tiny_settings, **weak}).as_yaml())
    _, said, _ = here("--config", config, "--record", tmp_path / "mine")
    assert "Full fine-tuning’s training loss hardly moves: its rate is too low to matter" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rnak: 8", "There is no setting 'rnak'"),
        ("rank: [", "cannot be read as a YAML file of settings"),
        ("backbone: nobody/nothing", "There is no backbone 'nobody/nothing'"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(here, tmp_path, text, words):
    (tmp_path / "settings.yaml").write_text(text)
    status, _, error = here("--config", tmp_path / "settings.yaml", "--record", tmp_path / "mine")
    assert status == 1
    assert words in error
    assert "Traceback" not in error


def test_a_file_that_is_not_there_is_named(here, tmp_path):
    status, _, error = here("--config", tmp_path / "none.yaml", "--record", tmp_path / "mine")
    assert status == 1
    assert "none.yaml' cannot be read as a YAML file of settings" in error


def test_a_record_that_is_there_already_is_not_touched(here, config, tmp_path):
    (tmp_path / "mine").mkdir()
    status, _, error = here("--config", config, "--record", tmp_path / "mine")
    assert status == 1
    assert "exists already; name a new folder" in error
    assert not list((tmp_path / "mine").iterdir())


def test_a_run_that_fails_says_so_in_its_record(here, config, tmp_path):
    config.write_text(config.read_text().replace("rank: 2", "rank: 64"))
    status, _, error = here("--config", config, "--record", tmp_path / "mine")
    (failed,) = Record(tmp_path / "mine").events()
    assert status == 1
    assert failed.message == error.strip()
    assert failed.message.startswith("Rank 64 does not fit")


def test_more_than_one_process_is_refused_in_a_sentence(tiny_settings, tmp_path):
    with pytest.raises(TrainingError, match="one process for now, not 2: use --num_processes 1"):
        train.train(Settings.parse(tiny_settings), Record(tmp_path / "mine"), SimpleNamespace(num_processes=2))
    assert not (tmp_path / "mine").exists()
