"""Each lane's best learning rate on the bundled images: a row of rates around the present one, judged on held-out images.

    .venv/bin/python tests/benchmarks/learning_rates.py [--steps 100] [--seeds 2] [--lanes head lora ...] [--out rates.jsonl]

The judge is the whole validation split, 500 images that no lane trains on; the test images are not looked at. The best rate is
that of the lowest held-out loss, which is steadier than the accuracy: one standard error of that is 2 points for one seed. With
--out a search that was stopped goes on where it was.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from resumable import mean_and_range, resumed

from lora_demo import looks, training
from lora_demo.errors import LabError
from lora_demo.events import Evaluated
from lora_demo.settings import Settings

looks.INTERIM_IMAGES = 500  # all of them
ROWS = {
    "head": ("head", "query_value", (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)),
    "lora": ("lora", "query_value", (5e-4, 1e-3, 2e-3, 4e-3, 1e-2)),
    "lora, all linear": ("lora", "all_linear", (2e-4, 5e-4, 1e-3, 2e-3, 5e-3)),
    "full": ("full", "query_value", (2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3)),
}


def held_out(lane: str, targets: str, rate: float, steps: int, seed: int) -> dict:
    """Loss and accuracy on the validation images after `steps`; None and 0 where the lane broke."""
    values = {"lanes": [lane], "targets": targets, "steps": steps, "seed": seed, "evaluate_every": steps}
    race = training.Race(Settings.parse({**values, f"learning_rate_{lane}": rate}))
    try:
        look = next(event for event in race.run() if isinstance(event, Evaluated))  # the test is left out
    except LabError:
        return {"loss": None, "accuracy": 0.0}
    return {key: look.lanes[lane][key] for key in ("loss", "accuracy")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--lanes", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    print(f"| lane | rate | held-out loss | held-out accuracy, % |\n|---|---|---|---|  <!-- {asked.steps} steps -->")
    best = {}
    for title in asked.lanes:
        lane, targets, rates = ROWS[title]
        for rate in rates:
            found = []
            for seed in range(asked.seeds):
                key = {"lane": lane, "targets": targets, "rate": rate, "steps": asked.steps, "seed": seed}
                found.append(resumed(asked.out, key, lambda key=key: held_out(**key)))
            losses = [figures["loss"] for figures in found]
            accuracy = mean_and_range([100 * figures["accuracy"] for figures in found], 1)
            if None in losses:
                print(f"| {title} | {rate:g} | broke | {accuracy} |", flush=True)
                continue
            print(f"| {title} | {rate:g} | {mean_and_range(losses, 3)} | {accuracy} |", flush=True)
            mean = sum(losses) / len(losses)
            best[title] = min(best.get(title, (mean, rate)), (mean, rate))
    print("best: " + ", ".join(f"{title} {rate:g}" for title, (_, rate) in best.items()))


if __name__ == "__main__":
    main()
