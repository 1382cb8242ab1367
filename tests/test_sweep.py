"""A sweep: the same budget each, kept as cells end, and never repeated."""

import asyncio
import csv
import dataclasses
import io
import json
import sys

import pytest

from lora_demo import runs, sweep
from lora_demo.figures import sweep as figures
from lora_demo.records import Record
from lora_demo.settings import Settings, SettingsError
from lora_demo.ui.train import sweeps

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    monkeypatch.setattr(sweep, "RANKS", (1, 2))
    monkeypatch.setattr(runs, "GRACE_SECONDS", 120.0)


def take(stream, limit: int | None = None):
    async def collect():
        told = []
        async for found, cell in stream:
            told.append((found, cell))
            if limit is not None and len(found) >= limit:
                break
        await stream.aclose()
        return told

    return collect()


def result(rank: int, right: int, lane: str = "lora") -> sweep.Result:
    return sweep.Result(lane, rank, 100 * rank, [right / 1000], 1000)


def test_every_cell_differs_in_what_is_swept_alone():
    settings = Settings.parse({"alpha": 16, "steps": 60, "seeds": 2})
    cells = sweep.cells("rank", settings)
    assert [(cell.lane, cell.value) for cell in cells] == [("head", None), ("full", None), ("lora", 1), ("lora", 2)]
    for cell in cells:
        assert (cell.settings.lanes, cell.settings.alpha, cell.settings.steps, cell.settings.seeds) == (
            (cell.lane,),
            16,
            60,
            2,
        )
    assert [cell.settings.rank for cell in cells[2:]] == [1, 2]
    assert {cell.lane for cell in sweep.cells("rate", settings)} == {"lora", "full"}
    with pytest.raises(SettingsError, match="no sweep over 'colour'"):
        sweep.cells("colour", settings)


def test_a_sweep_that_was_stopped_goes_on_without_repeating_a_cell(tiny_settings, run_async):
    settings = Settings.parse(tiny_settings)
    run_async(take(sweep.run("rank", settings, "me"), limit=2))
    assert len(sweep.results("rank", settings, "me")) == 2
    assert sweep.results("rank", settings, "somebody else") == []
    before = len(runs.of("me"))
    told = run_async(take(sweep.run("rank", settings, "me")))
    found, cell = told[-1]
    assert cell is None
    assert [(one.lane, one.value) for one in found] == [("head", None), ("full", None), ("lora", 1), ("lora", 2)]
    assert len(runs.of("me")) == before + 2
    assert all(0 <= one.accuracy <= 1 and one.parameters > 0 for one in found)
    rows = list(csv.DictReader(io.StringIO(sweep.csv_text("rank", found))))
    assert [row["rank"] for row in rows] == ["", "", "1", "2"]
    assert float(rows[2]["test_accuracy"]) == found[2].accuracy


def test_what_a_sweep_reached_stands_beside_a_run_of_the_same_settings(tiny_settings, run_async, tmp_path):
    settings = Settings.parse(tiny_settings)
    found, _ = run_async(take(sweep.run("rank", settings, "me")))[-1]
    record, longer = Record(tmp_path / "run"), Record(tmp_path / "longer")
    record.create(dataclasses.replace(settings, rank=5, evaluate_every=1))  # neither changes what a rank reaches
    assert sweep.trained_at_ranks(record, "me") == {one.value: one.accuracy for one in found if one.lane == "lora"}
    assert sweep.trained_at_ranks(record, "somebody else") == {}
    longer.create(dataclasses.replace(settings, steps=settings.steps + 1))
    assert sweep.trained_at_ranks(longer, "me") == {}


def test_the_command_leaves_the_cells_in_a_file(tiny_settings, run_async, tmp_path, monkeypatch, capsys):
    config, out = tmp_path / "settings.yaml", tmp_path / "sweep.jsonl"
    config.write_text(Settings.parse(tiny_settings).as_yaml())
    monkeypatch.setattr(sys, "argv", ["sweep", "--config", str(config), "--out", str(out)])
    assert run_async(asyncio.to_thread(sweep.main)) == 0
    assert [json.loads(line)["value"] for line in out.read_text().splitlines()] == [None, None, 1, 2]
    assert len(capsys.readouterr().out.splitlines()) == 4
    config.write_text("rank: none")
    assert run_async(asyncio.to_thread(sweep.main)) == 1
    assert "rank" in capsys.readouterr().err


def test_what_cannot_start_ends_the_sweep_with_its_sentence(tiny_settings, run_async):
    settings = Settings.parse({**tiny_settings, "backbone": "nobody/nothing"})
    with pytest.raises(runs.RunError, match="nobody/nothing"):
        run_async(take(sweep.run("rank", settings, "me")))


def test_the_smallest_rank_that_was_enough_is_the_one_whose_interval_meets_the_best():
    # 95 % intervals at 1,000 images: 700 +- 28, 760 +- 26, 770 +- 26.
    assert sweep.smallest_enough([result(1, 700), result(2, 760), result(8, 770)]).value == 2
    assert sweep.smallest_enough([result(1, 745), result(8, 770)]).value == 1
    assert sweep.smallest_enough([result(1, 900, "full")]) is None


def test_the_verdict_says_where_a_lane_is_as_good_as_at_its_best():
    rates = [(1e-4, 700), (1e-3, 760), (1e-2, 770)]
    lora = [sweep.Result("lora", rate, 100, [right / 1000], 1000) for rate, right in rates]
    full = [sweep.Result("full", rate / 10, 900, [right / 1000], 1000) for rate, right in rates]
    assert sweep.verdict("rate", lora) == "LoRA does as well as at its best from 0.001 to 0.01"
    assert sweep.verdict("rate", lora + full).endswith("full from 0.0001 to 0.001; its best rate is 10 times full’s")
    assert sweep.verdict("variant", [sweep.Result("lora", "lora_plus", 9, [0.7], 100)]).endswith("variant lora plus")
    assert sweep.verdict("rank", full) == ""


def test_what_is_said_of_the_recorded_sweep_is_what_was_recorded():
    kept = sweep.recorded(runs.record("reference"))
    assert [one.value for one in kept] == [None, None, *(1, 2, 4, 8, 16, 32, 64)]
    said = sweeps._recorded(kept)
    assert f"seeds: {len(kept[-1].accuracies)}" in said
    assert sweep.verdict("rank", kept) in said
    assert sweeps._recorded([]) == ""


def test_a_lane_that_broke_is_named_as_it_is_in_work():
    broke = [sweep.Result("head", None, 10, [], 1000), sweep.Result("lora", 0.1, 10, [], 1000)]
    assert "broke: head only, LoRA at learning rate 0.1" in sweeps._said("rate", broke, None, 2)


@pytest.mark.parametrize("kind", sweep.KINDS)
def test_a_sweep_can_be_drawn_at_every_stage(kind):
    values = {"rate": [1e-5, 1e-4], "variant": ["lora", "dora"], "targets": ["attention", "all_linear"]}.get(
        kind, [1, 64]
    )
    found = [sweep.Result("head", None, 10, [0.7], 1000)]
    found += [sweep.Result("lora", value, 20 * i, [0.7, 0.74], 1000) for i, value in enumerate(values, 1)]
    found.append(sweep.Result("lora", 0.1, 10, [], 1000))  # broke
    for count in range(len(found) + 1):
        figure = figures.sweep(kind, found[:count])
        low, high = figure.layout.yaxis.range
        assert -0.1 <= low < high <= 1.1
    assert list(figure.data[0].y) == [pytest.approx(0.72)] * 2
    assert len(figure.data[1].y) == 4  # the seeds


def test_a_cell_that_broke_is_a_row_and_no_point():
    broke = sweep.Result("lora", 0.1, 10, [], 1000)
    assert "lora,0.1,10,,broke,1000" in sweep.csv_text("rate", [broke])
    assert sweep.smallest_enough([broke]) is None
