"""What the lanes reach on the bundled test images, by steps: the table of the README.

    .venv/bin/python tests/benchmarks/accuracies.py [--steps 100 300 1000] [--seeds 3] [--lanes "head alone" ...]
        [--out accuracies.jsonl]

Every lane races alone, which changes nothing (tests/test_training.py), at the default settings. Mean and range over the seeds.
With --out a search that was stopped goes on where it was.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from resumable import mean_and_range, resumed

from lora_demo.events import Finished
from lora_demo.settings import Settings
from lora_demo.training import Race

ROWS = {
    "head alone": ("head", "query_value"),
    "LoRA, query and value": ("lora", "query_value"),
    "LoRA, all linear": ("lora", "all_linear"),
    "full fine-tuning": ("full", "query_value"),
}


def test_figures(lane: str, targets: str, steps: int, seed: int) -> dict:
    """Accuracy and loss on the 1,000 test images, the rate, and the seconds of a step."""
    asked = {"lanes": [lane], "targets": targets, "steps": steps, "seed": seed, "evaluate_every": steps}
    finished = next(event for event in Race(Settings.parse(asked)).run() if isinstance(event, Finished))
    return {key: finished.lanes[lane][key] for key in ("accuracy", "loss", "learning_rate", "step_seconds")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lanes", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    print("| lane (its rate) | " + " | ".join(f"{steps:,} steps" for steps in asked.steps) + " |")
    print("|---|" + "---|" * len(asked.steps))
    for title in asked.lanes:
        lane, targets = ROWS[title]
        cells = []
        for steps in asked.steps:
            keys = [{"lane": lane, "targets": targets, "steps": steps, "seed": seed} for seed in range(asked.seeds)]
            found = [resumed(asked.out, key, lambda key=key: test_figures(**key)) for key in keys]
            cells.append(mean_and_range([100 * figures["accuracy"] for figures in found], 1))
        print(f"| {title} ({found[0]['learning_rate']:g}) | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
