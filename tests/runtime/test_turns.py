"""Fair turns: longest wait first, a limit on simultaneous turns, nobody forgotten."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import pytest

from rtseg.errors import SettingError
from rtseg.frames import Frame, Packet, Segmentation
from rtseg.runtime.channel import Channel, StopFlag
from rtseg.runtime.turns import Turns
from rtseg.testing import FakeSource
from tests.support.pipelines import FakeSink, pipeline, segmenter


def test_the_stream_served_longest_ago_is_next() -> None:
    turns = Turns(1)
    never = StopFlag()
    first, second, third = (turns.join() for _ in range(3))
    order: list[str] = []

    def serve(name: str, turn: object) -> None:
        assert turn.take(never)  # type: ignore[attr-defined]
        order.append(name)
        turn.give_back()  # type: ignore[attr-defined]

    for name, turn in (("first", first), ("second", second), ("third", third)):
        serve(name, turn)
    order.clear()
    holder = turns.join()
    assert holder.take(never)
    waiting = []
    # they ask in another order than they were served
    for name, turn in (("third", third), ("first", first), ("second", second)):
        thread = threading.Thread(target=serve, args=(name, turn), daemon=True)
        thread.start()
        waiting.append(thread)
        time.sleep(0.02)
    holder.give_back()
    for thread in waiting:
        thread.join(5)
    assert order == ["first", "second", "third"]


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_turns_are_limited_and_shared_equally(at_once: int) -> None:
    turns = Turns(at_once)
    over = StopFlag()
    served: Counter[int] = Counter()
    most = 0
    lock = threading.Lock()
    active = 0

    def work(number: int) -> None:
        nonlocal active, most
        turn = turns.join()
        while turn.take(over):
            with lock:
                active += 1
                most = max(most, active)
            # one of them takes longer than the others together
            time.sleep(0.006 if number == 0 else 0.001)
            with lock:
                active -= 1
                served[number] += 1
            turn.give_back()

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.6)
    over.set()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert most == at_once
    assert turns.active == 0
    assert min(served.values()) > 5
    if at_once == 1:
        assert max(served.values()) - min(served.values()) <= 2, served


def test_a_stop_ends_the_wait_and_gives_up_the_place() -> None:
    turns = Turns(1)
    holder, waiter, next_one = turns.join(), turns.join(), turns.join()
    assert holder.take(StopFlag())
    stopped = StopFlag()
    stopped.set()
    assert not waiter.take(stopped)
    holder.give_back()
    holder.give_back()
    assert next_one.take(StopFlag())
    assert turns.active == 1
    next_one.give_back()
    assert turns.active == 0


def test_less_than_one_turn_is_refused() -> None:
    with pytest.raises(SettingError, match="at_once must be 1 or more; found 0"):
        Turns(0)


def test_a_channel_can_be_waited_for_without_taking_an_item() -> None:
    over = StopFlag()
    channel: Channel[int] = Channel(capacity=1, policy="newest", stop=over)
    threading.Timer(0.05, lambda: channel.put(1)).start()
    assert channel.wait()
    channel.put(2)
    assert channel.get() == 2
    threading.Timer(0.05, channel.close).start()
    assert not channel.wait()
    waiting: Channel[int] = Channel(capacity=1, policy="newest", stop=over)
    threading.Timer(0.05, over.set).start()
    assert not waiting.wait()


class Counted(Turns):
    """Counts turns."""

    def __init__(self) -> None:
        super().__init__(1)
        self.taken = 0

    def _call_next(self) -> None:
        before = self._active
        super()._call_next()
        self.taken += max(0, self._active - before)


@pytest.mark.parametrize("is_live", [True, False])
def test_a_run_takes_one_turn_per_frame_and_none_for_sound(is_live: bool) -> None:
    turns = Counted()

    class Loud(FakeSource):
        """Forty packets of sound before each frame."""

        def items(self) -> Iterator[Frame | Packet]:
            for frame in super().items():
                for _ in range(40):
                    yield Packet(
                        stream_index=0, time_seconds=Fraction(0), size_bytes=1, payload=None
                    )
                yield frame

    run = pipeline(Loud(4, is_live=is_live, interval=0.05), FakeSink(), turn=turns.join())
    run.run()
    written = run.summary.frames if run.summary is not None else 0
    assert written >= 1
    assert written == 4 or is_live
    assert turns.taken < 80, "a few may hold nothing but sound that came before its frame"
    assert turns.active == 0


def test_frames_that_wait_need_a_turn_each() -> None:
    turns = Counted()

    # so slow that the next frames are there already
    slow = segmenter(seconds=0.02)
    run = pipeline(FakeSource(8), FakeSink(), segment=slow, turn=turns.join())
    assert run.run().frames == 8
    assert turns.taken >= 8


def test_a_failed_run_gives_its_turn_back() -> None:
    turns = Turns(1)

    def fail(_frame: Frame) -> Segmentation:
        raise ZeroDivisionError

    run = pipeline(FakeSource(4, is_live=True), FakeSink(), segment=fail, turn=turns.join())
    with pytest.raises(ZeroDivisionError):
        run.run()
    assert turns.active == 0
    other = pipeline(FakeSource(4), FakeSink(), turn=turns.join())
    assert other.run().frames == 4
