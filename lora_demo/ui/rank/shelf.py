"""What a session looks at, kept on the server between two moves of a slider: nothing is parsed or decomposed again."""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from lora_demo.errors import LabError

T = TypeVar("T")


class Shelf(Generic[T]):
    """The last few things of each session; the page holds their keys, never the things themselves.

    Bounded twice: each session keeps its `places` last used things, and all of them together hold no more than `room`
    by `size`: the session that has been idle longest makes way.
    """

    def __init__(self, places: int, room: int, size: Callable[[T], int]) -> None:
        self._places, self._room, self._size = places, room, size
        self._things: OrderedDict[str, OrderedDict[str, T]] = OrderedDict()
        self._keys = itertools.count(1)
        self._lock = threading.Lock()

    def put(self, session: str, thing: T) -> str:
        """Keep `thing` for the session and return its key."""
        with self._lock:
            mine = self._things.setdefault(session, OrderedDict())
            self._things.move_to_end(session)
            key = str(next(self._keys))
            mine[key] = thing
            while len(mine) > self._places:
                mine.popitem(last=False)
            while len(self._things) > 1 and self._held() > self._room:
                self._things.popitem(last=False)
            return key

    def get(self, session: str, key: str) -> T:
        """The thing of this key; raises LabError where the session's place has been given to others since."""
        with self._lock:
            mine = self._things.get(session, {})
            if key not in mine:
                raise LabError("This was put away while the page was idle: choose or type it once more.")
            self._things.move_to_end(session)
            mine.move_to_end(key)
            return mine[key]

    def swap(self, session: str, key: str, thing: T) -> bool:
        """Put `thing` in place of the one of this key; False where that was put away meanwhile."""
        with self._lock:
            mine = self._things.get(session, {})
            if key in mine:
                mine[key] = thing
            return key in mine

    def clear(self, session: str) -> None:
        """Forget all that the session has: its tab was closed."""
        with self._lock:
            self._things.pop(session, None)

    def _held(self) -> int:
        return sum(self._size(thing) for mine in self._things.values() for thing in mine.values())
