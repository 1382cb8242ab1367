"""What the fork server has in memory for every worker: imported there, so that a run on the bundled images starts at once."""

import torch

from lora_demo import datasets

torch.set_num_threads(1)  # a fork keeps no other thread, and a worker would wait for those of OpenMP for ever
datasets.load("bundled")
