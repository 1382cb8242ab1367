"""What the fork server has in memory for every worker: imported there, so that a run on the bundled images starts at once."""

from lora_demo import datasets

datasets.load("bundled")
