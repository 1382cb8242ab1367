"""What a person asks of a race while it runs: a few words from a pipe, heard between steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

WORDS = ("pause", "go", "step", "rates", "stop")


@dataclass(frozen=True)
class Command:
    """`do` is one of `WORDS`; "step" is one step of a paused race, "rates" sets the peak rates of `rates` by setting's name."""

    do: str
    rates: dict[str, float | None] = field(default_factory=dict)


Hear = Callable[[bool], Command | None]


def nothing(wait: bool) -> None:
    """Hears nothing, ever: the race runs to its end."""


class Steering:
    """Where a race stands with its listener. `hear(wait)` gives the next command, or None where there is none yet."""

    def __init__(self, hear: Hear):
        self._hear = hear
        self.stop = self.paused = False
        self.single_steps = 0  # asked of a paused race and not made yet
        self.rates: dict[str, float | None] = {}

    def listen(self, wait: bool = False) -> None:
        """Take in every command there is; with `wait`, at least one. After "stop" nothing more is heard."""
        while not self.stop and (command := self._hear(wait)) is not None:
            wait = False
            match command.do:
                case "rates":
                    self.rates |= command.rates
                case "step":
                    self.single_steps += self.paused
                case "pause" | "go":
                    self.paused, self.single_steps = command.do == "pause", 0
                case "stop":
                    self.stop = True

    def stopped(self) -> bool:
        """Whether the end was asked for by now."""
        self.listen()
        return self.stop

    def taken_rates(self) -> dict[str, float | None]:
        """The new rates, once."""
        rates, self.rates = self.rates, {}
        return rates
