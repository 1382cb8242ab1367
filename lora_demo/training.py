"""The race: head only, LoRA and full fine-tuning on the same batches in the same order.

    settings -> Race(settings).run() -> events

One generator of events; no user interface, no threads, no processes. Frozen weights are stored in the compute format, trained
ones stay in fp32 and are cast where they are used (torch.autocast), so that small updates are not rounded away.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from lora_demo import backbones, datasets, lora, numerics
from lora_demo.class_token import only_class_token
from lora_demo.errors import LabError
from lora_demo.events import Changed, Evaluated, Event, Finished, Measured, Prepared, Spectra, Step
from lora_demo.lane import Lane, copied, prepare, schedule
from lora_demo.looks import Looks, told
from lora_demo.settings import Settings
from lora_demo.steering import Hear, Steering, nothing

SPECTRA = 100  # times in a run that LoRA's singular values are told
PROBE_STEPS = 2  # timed, after one that warms up and one that is counted, to plan a run within a time budget
RESERVE = 0.9  # of the time budget that is planned with: machines are noisy


class TrainingError(LabError):
    """The settings cannot be trained with, or the run went wrong in a way that has a name."""


@dataclass(frozen=True)
class Past:
    """A run that is to be gone on with: the events it told, without its end, and the state its lanes were left in."""

    events: list[Event]
    state: dict


class Race:
    """All lanes of one run. `run()` trains them; afterwards `lanes` holds the trained models.

    With several seeds every lane runs once a seed, side by side: `replicas` holds them all, `lanes` is the first. `hear` is
    asked for commands between the lanes' steps and batches; told to stop, the run ends with `finished`, stopped. `device` is
    torch's name of one; left out, the best there is.
    """

    def __init__(
        self, settings: Settings, hear: Hear = nothing, past: Past | None = None, device: str | None = None
    ) -> None:
        self.settings = settings
        self.device = device or numerics.best_device()
        self.steering = Steering(hear)
        self.past = past
        self.replicas: list[dict[str, Lane]] = []
        self.running = list(settings.lanes)
        self._deadline = time.monotonic() + settings.seconds if settings.seconds else math.inf
        self._said_paused = False
        self._looks_without_better = dict.fromkeys(settings.lanes, 0)

    @property
    def lanes(self) -> dict[str, Lane]:
        """The lanes of the first seed; empty before `run` has built them."""
        return self.replicas[0] if self.replicas else {}

    def run(self) -> Iterator[Event]:
        """Train every lane and yield `prepared`, then what happens (`events` says what may), then `finished`.

        Raises a `LabError` where backbone, data or settings do not fit together, or a loss is no longer a number.
        """
        self._load()
        self._build()
        if self.settings.seconds:
            self._plan_steps()
        yield self._prepared()
        done = self.past.state["step"] if self.past else 0
        if self.past:
            yield from self._take_up(done)

        share = schedule(self.settings.schedule, self.settings.steps - done)
        batches, first = self._batches(done), done
        while done < self.settings.steps and self.running and not self._out_of_time(done):
            yield from self._obey(done)
            losses = None if self.steering.stopped() else self._step(done, next(batches), share(done - first))
            if losses is None:
                break
            done += 1
            yield self._step_event(done, losses)
            yield from self._broken(done, losses)
            if done == 2:
                yield Measured(2, {name: lane.measured for name, lane in self.lanes.items()})
            yield from self._look(done)
        if self._out_of_time(done) and done < self.settings.steps:
            yield Changed(done, "time is up")
        yield from self._finish(done)

    def _load(self) -> None:
        self.data = datasets.load(self.settings.data)
        self.backbone = backbones.load(self.settings.backbone)
        self.dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(self.settings.dtype)
        self.dtype = self.dtype or numerics.fast_dtype(self.device)
        attention = numerics.fast_attention(self.device, self.dtype, self.backbone.tokens)
        self.backbone.model.set_attn_implementation(attention)
        self.looks = Looks(self.data, self.backbone, self.device)

    def _build(self) -> None:
        """Every lane starts from the same backbone under the same new head: one a seed."""
        settings = self.settings
        for seed in range(settings.seed, settings.seed + settings.seeds):
            head = self.backbone.new_head(self.data.classes, torch.Generator().manual_seed(seed))
            lanes = {}
            for name in settings.lanes:
                model = copied(self.backbone.model, head)
                groups = prepare(name, model, settings, seed, self.dtype)
                only_class_token(model)
                lanes[name] = Lane(name, model.to(self.device), groups, settings, self.dtype)
            self.replicas.append(lanes)

    def _plan_steps(self) -> None:
        """Set the steps so that they, the looks and the test end in time: from a short probe, on copies that are thrown away."""
        split = self.data.train[: self.settings.batch_size]
        pixels, labels = self.backbone.pixels(split.images).to(self.device), split.labels.to(self.device)
        seconds = 0.0
        look = 0.0
        for lane in self.lanes.values():
            probe = copy.deepcopy(lane)
            for _ in range(2 + PROBE_STEPS):
                probe.train_step(pixels, labels)
            seconds += statistics.median(probe.step_seconds[2:])
            start = time.perf_counter()
            with torch.inference_mode():
                probe.logits(pixels)
            look += (time.perf_counter() - start) / len(split)
        seeds, every = self.settings.seeds, self.settings.evaluate_every
        self._test_seconds = look * len(self.data.test) * seeds
        a_step = seeds * (seconds + look * len(self.looks.splits["validation"]) / every)
        left = RESERVE * (self._deadline - time.monotonic()) - self._test_seconds
        self.settings = dataclasses.replace(self.settings, steps=min(10_000, max(1, int(left / a_step))))

    def _out_of_time(self, done: int) -> bool:
        """Whether what is left of a time budget is needed for the test; at least one step is made."""
        return done > 0 and math.isfinite(self._deadline) and time.monotonic() + self._test_seconds > self._deadline

    def _prepared(self) -> Prepared:
        counts = {
            name: {
                "trainable_parameters": lora.trainable_parameters(lane.model),
                "total_parameters": sum(p.numel() for p in lane.model.parameters()),
            }
            for name, lane in self.lanes.items()
        }
        images = {name: len(getattr(self.data, name)) for name in ("train", "validation", "test")}
        dtype = str(self.dtype).removeprefix("torch.")
        pictures = self.looks.splits["validation"].labels[self.looks.pictures].tolist()
        return Prepared(self.settings.as_dict(), counts, images, self.data.classes, self.device, dtype, pictures)

    def _take_up(self, done: int) -> Iterator[Event]:
        """Go on where a run ended: its events once more, its weights and its optimizers."""
        yield from self.past.events
        yield Changed(done, "continued")
        for lanes, states in zip(self.replicas, self.past.state["replicas"], strict=True):
            for name, lane in lanes.items():
                lane.go_on_from(states[name])
                lane.measured = self.past.state["measured"][name]
                lane.step_seconds = list(self.past.state["step_seconds"][name])
                lane.seconds = sum(lane.step_seconds)

    def _batches(self, done: int) -> Iterator[list[datasets.Split]]:
        """One batch a seed at each step; the first `done` are drawn and left out, so that a continued run sees what is new."""
        sources = []
        for seed in range(self.settings.seed, self.settings.seed + self.settings.seeds):
            generator = torch.Generator().manual_seed(seed)
            sources.append((datasets.order(len(self.data.train), self.settings.batch_size, generator), generator))
        step = 0
        while True:
            drawn = [(next(indices), datasets.mirrored(self.settings.batch_size, g)) for indices, g in sources]
            if step >= done:
                splits = [(self.data.train[indices], mirror) for indices, mirror in drawn]
                yield [datasets.Split(datasets.flipped(s.images, mirror), s.labels) for s, mirror in splits]
            step += 1

    def _obey(self, done: int) -> Iterator[Event]:
        """What somebody asked for since the last step; a paused race waits here."""
        steering = self.steering
        paused = time.monotonic()
        steering.listen()
        if steering.paused and not steering.single_steps:
            self._said_paused = True
            yield Changed(done, "paused")
            while steering.paused and not (steering.single_steps or steering.stop):
                yield from self._new_rates(done)
                steering.listen(wait=True)
        if self._said_paused and not (steering.paused or steering.stop):
            self._said_paused = False
            yield Changed(done, "resumed")
        yield from self._new_rates(done)
        steering.single_steps = max(0, steering.single_steps - 1)
        self._deadline += time.monotonic() - paused

    def _new_rates(self, done: int) -> Iterator[Event]:
        rates = self.steering.taken_rates()
        if rates:
            self.settings = dataclasses.replace(self.settings, **rates)
            for lane in (lane for lanes in self.replicas for lane in lanes.values()):
                lane.set_rates(self.settings)
            lanes = dict.fromkeys(("head", *self.settings.lanes))  # every lane has a head
            yield Changed(done, "rates", rates={name: self.settings.learning_rate(name) for name in lanes})

    def _step(self, done: int, batches: list[datasets.Split], share: float) -> list[dict[str, float]] | None:
        """One step of every lane that still runs on its seed's batch: losses by seed, or None where it was stopped in between."""
        losses = []
        for seed, (lanes, batch) in enumerate(zip(self.replicas, batches, strict=True), self.settings.seed):
            pixels, labels = self.backbone.pixels(batch.images).to(self.device), batch.labels.to(self.device)
            losses.append({})
            for name in self.running:
                if self.steering.stopped():
                    return None
                torch.manual_seed(seed * 10_000 + done)  # dropout is the same alone, in company and when continued
                losses[-1][name] = lanes[name].train_step(pixels, labels, share)
        return losses

    def _step_event(self, done: int, losses: list[dict[str, float]]) -> Step:
        means = {name: statistics.fmean(of[name] for of in losses) for name in self.running}
        seconds = {n: statistics.fmean(lanes[n].seconds for lanes in self.replicas) for n in self.running}
        finite = [told(of) for of in losses]
        each = {name: [of[name] for of in finite] for name in self.running} if len(losses) > 1 else {}
        return Step(done, told(means), seconds, each)

    def _broken(self, done: int, losses: list[dict[str, float]]) -> Iterator[Event]:
        """A loss that is no number ends its lane where the rate rises in order to break it, and the run elsewhere."""
        for name in [n for n in self.running if not all(math.isfinite(of[n]) for of in losses)]:
            if self.settings.schedule != "rising":
                raise TrainingError(
                    f"The loss of the {name} lane is no longer a number after step {done}: its learning rate, "
                    f"{self.settings.learning_rate(name):g}, is too high; try a tenth of it."
                )
            self.running.remove(name)
            yield Changed(done, "broke", lane=name)

    def _look(self, done: int) -> Iterator[Event]:
        """Spectra and held-out figures, where it is time for them."""
        settings = self.settings
        last = done == settings.steps
        look = done % settings.evaluate_every == 0 or last
        changed = [name for name in ("full", "lora") if name in self.running]
        if not look:  # LoRA's are nearly free, full's are not
            changed = [name for name in changed if name == "lora" and done % max(1, settings.steps // SPECTRA) == 0]
        if changed:
            start = self.backbone.model.state_dict()
            yield Spectra(done, {name: self.lanes[name].spectra(start) for name in changed})
        if look and self._evaluate("validation"):
            yield Evaluated(
                done,
                {name: told(lane.validation) for name, lane in self.lanes.items()},
                {name: self.looks.shown(lane.validation["answers"]) for name, lane in self.lanes.items()},
            )
            yield from self._stop_early(done)

    def _stop_early(self, done: int) -> Iterator[Event]:
        """A lane whose held-out loss has not become better for `patience` looks stops."""
        if not self.settings.patience:
            return
        for name in list(self.running):
            loss = self.lanes[name].validation["loss"]
            better = [lanes[name].keep_best(loss) for lanes in self.replicas]
            self._looks_without_better[name] = 0 if all(better) else self._looks_without_better[name] + 1
            if self._looks_without_better[name] >= self.settings.patience:
                self.running.remove(name)
                yield Changed(done, "early stop", lane=name)

    def _finish(self, done: int) -> Iterator[Event]:
        if self.settings.patience:
            for lane in (lane for lanes in self.replicas for lane in lanes.values()):
                lane.take_best()
        self.done = done
        tested = not self.steering.stopped() and self._evaluate("test")
        yield Finished(done, not tested, {name: self._summary(name) for name in self.lanes})

    def _evaluate(self, kind: str) -> bool:
        """Set every lane's `validation` or `test` figures; False where the run was stopped in between."""
        found = self.looks.at(kind, self.replicas, self.steering.stopped)
        if found is None:
            return False
        for lanes, figures in zip(self.replicas, found, strict=True):
            for name, lane in lanes.items():
                setattr(lane, kind, figures[name])
        if len(found) > 1:  # the first seed's lane speaks for all: means, and each
            for name, lane in self.lanes.items():
                means = {key: statistics.fmean(of[name][key] for of in found) for key in ("accuracy", "loss")}
                setattr(lane, kind, {**found[0][name], **means, "accuracies": [of[name]["accuracy"] for of in found]})
        return True

    def _summary(self, name: str) -> dict:
        summary = told(self.lanes[name].summary())
        summary["validation"] = summary["validation"] and told(summary["validation"])
        per_second = self.settings.batch_size / summary["step_seconds"] if summary["step_seconds"] else None
        return {**summary, "images_per_second": per_second, "learning_rate": self.settings.learning_rate(name)}

    def state(self) -> dict:
        """What it takes to continue: the steps done, and of every lane the weights, the optimizer and the clock."""
        return {
            "step": self.done,
            "replicas": [{name: lane.state() for name, lane in lanes.items()} for lanes in self.replicas],
            "measured": {name: lane.measured for name, lane in self.lanes.items()},
            "step_seconds": {name: lane.step_seconds for name, lane in self.lanes.items()},
        }
