"""The queue between two threads: nothing lost or reordered, and no thread left waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtseg.errors import SettingError
from rtseg.runtime.channel import Channel, Nothing, Policy, StopFlag

POLICIES = pytest.mark.parametrize("policy", ["block", "newest"])

Item = tuple[int, int | None]
"""A number, and the size in bytes if it is a rider."""

items = st.lists(st.one_of(st.none(), st.integers(0, 40)), max_size=30).map(
    lambda sizes: list(enumerate(sizes))
)


def drain(channel: Channel[Item]) -> list[Item]:
    taken = []
    while not isinstance(item := channel.get(timeout_seconds=0), Nothing):
        taken.append(item)
    return taken


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@settings(max_examples=60, derandomize=True, deadline=None)
@given(items=items, capacity=st.integers(1, 4), max_bytes=st.integers(1, 50))
def test_block_delivers_everything_in_order(
    items: list[Item], capacity: int, max_bytes: int
) -> None:
    channel: Channel[Item] = Channel(
        capacity=capacity, policy="block", stop=StopFlag(), max_bytes=max_bytes
    )

    def produce() -> None:
        for item in items:
            assert channel.put(item, size_bytes=item[1])
        channel.close()

    producer = in_thread(produce)
    taken = []
    while not isinstance(item := channel.get(timeout_seconds=10), Nothing):
        taken.append(item)
    producer.join(10)
    assert taken == items
    assert item is Nothing.EVER
    assert channel.dropped == 0


@settings(max_examples=200, derandomize=True, deadline=None)
@given(items=items, takes=st.lists(st.booleans(), max_size=60), capacity=st.integers(1, 3))
def test_newest_drops_the_oldest_frames_and_never_a_rider(
    items: list[Item], takes: list[bool], capacity: int
) -> None:
    channel: Channel[Item] = Channel(capacity=capacity, policy="newest", stop=StopFlag())
    model: list[Item] = []
    dropped = 0
    todo = iter(items)
    for take in takes:
        if take:
            expected = model.pop(0) if model else Nothing.YET
            assert channel.get(timeout_seconds=0) == expected
        elif (item := next(todo, None)) is not None:
            assert channel.put(item, size_bytes=item[1])
            frames = [known for known in model if known[1] is None]
            if item[1] is None and len(frames) == capacity:
                model.remove(frames[0])
                dropped += 1
            model.append(item)
    assert channel.dropped == dropped
    assert len(channel) == len(model)
    assert drain(channel) == model


def test_newest_never_waits() -> None:
    channel: Channel[Item] = Channel(capacity=1, policy="newest", stop=StopFlag(), max_bytes=1)
    for number in range(1000):
        assert channel.put((number, None))
        assert channel.put((number, 100), size_bytes=100)
    assert channel.dropped == 999
    assert len(drain(channel)) == 1001


def test_block_limits_frames_and_bytes() -> None:
    channel: Channel[Item] = Channel(capacity=2, policy="block", stop=StopFlag(), max_bytes=10)
    reached = []

    def produce() -> None:
        for item in [(0, None), (1, None), (2, 6), (3, 4), (4, 1), (5, None)]:
            channel.put(item, size_bytes=item[1])
            reached.append(item[0])

    producer = in_thread(produce)
    time.sleep(0.15)
    assert reached == [0, 1, 2, 3], "an eleventh byte must wait"
    for _ in range(3):
        channel.get(timeout_seconds=5)
    producer.join(5)
    assert reached == [0, 1, 2, 3, 4, 5]
    assert drain(channel) == [(3, 4), (4, 1), (5, None)]


def test_block_accepts_a_rider_larger_than_the_limit() -> None:
    channel: Channel[Item] = Channel(capacity=1, policy="block", stop=StopFlag(), max_bytes=10)
    producer = in_thread(lambda: [channel.put((i, 99), size_bytes=99) for i in range(3)])
    assert [channel.get(timeout_seconds=5) for _ in range(3)] == [(0, 99), (1, 99), (2, 99)]
    producer.join(5)


@pytest.mark.parametrize("make_stop", [StopFlag, threading.Event])
@pytest.mark.parametrize("riders", [False, True])
def test_stop_releases_a_waiting_put(make_stop: type[StopFlag], riders: bool) -> None:
    stop = make_stop()
    channel: Channel[int] = Channel(capacity=1, policy="block", stop=stop, max_bytes=1)
    size = 1 if riders else None
    assert channel.put(0, size_bytes=size)
    results: list[bool] = []
    producer = in_thread(lambda: results.append(channel.put(1, size_bytes=size)))
    time.sleep(0.02)
    assert producer.is_alive(), "a full channel makes its producer wait"
    stop.set()
    producer.join(1)
    assert results == [False]


@POLICIES
def test_stop_releases_a_waiting_get(policy: Policy) -> None:
    stop = StopFlag()
    channel: Channel[int] = Channel(capacity=1, policy=policy, stop=stop)
    results: list[int | Nothing] = []
    consumer = in_thread(lambda: results.append(channel.get()))
    time.sleep(0.02)
    assert consumer.is_alive()
    stop.set()
    consumer.join(1)
    assert results == [Nothing.EVER]
    assert not channel.put(1), "a stopped channel takes nothing"


@POLICIES
def test_close_releases_a_waiting_get_and_keeps_queued_items(policy: Policy) -> None:
    channel: Channel[int] = Channel(capacity=3, policy=policy, stop=StopFlag())
    results: list[int | Nothing] = []
    consumer = in_thread(lambda: results.extend(channel.get() for _ in range(3)))
    time.sleep(0.02)
    channel.put(1)
    channel.put(2)
    channel.close()
    consumer.join(1)
    assert results == [1, 2, Nothing.EVER]
    with pytest.raises(RuntimeError, match="closed"):
        channel.put(3)


@POLICIES
def test_get_waits_no_longer_than_its_timeout(policy: Policy) -> None:
    channel: Channel[int] = Channel(capacity=1, policy=policy, stop=StopFlag())
    start = time.monotonic()
    assert channel.get(timeout_seconds=0.1) is Nothing.YET
    assert 0.1 <= time.monotonic() - start < 1.0


@POLICIES
def test_an_item_wakes_its_consumer_at_once(policy: Policy) -> None:
    """Handing over must not involve waiting, or every frame could wait up to 50 ms."""
    channel: Channel[float] = Channel(capacity=1, policy=policy, stop=StopFlag())
    delays: list[float] = []

    def consume() -> None:
        while not isinstance(sent := channel.get(), Nothing):
            delays.append(time.monotonic() - sent)

    consumer = in_thread(consume)
    for _ in range(21):
        time.sleep(0.005)
        channel.put(time.monotonic())
    channel.close()
    consumer.join(5)
    assert sorted(delays)[len(delays) // 2] < 0.02


def test_free_space_wakes_a_producer_at_once() -> None:
    channel: Channel[int] = Channel(capacity=1, policy="block", stop=StopFlag())
    put_at: list[float] = []

    def produce() -> None:
        for number in range(21):
            channel.put(number)
            put_at.append(time.monotonic())

    producer = in_thread(produce)
    taken_at = []
    for _ in range(21):
        time.sleep(0.005)
        taken_at.append(time.monotonic())
        channel.get(timeout_seconds=5)
    producer.join(5)
    delays = [put - taken for put, taken in zip(put_at[1:], taken_at, strict=False)]
    assert sorted(delays)[len(delays) // 2] < 0.02


def test_closing_wakes_the_consumer_at_once() -> None:
    delays = []
    for _ in range(9):
        channel: Channel[int] = Channel(capacity=1, policy="block", stop=StopFlag())
        ended_at: list[float] = []

        def consume(channel: Channel[int] = channel, ended_at: list[float] = ended_at) -> None:
            channel.get()
            ended_at.append(time.monotonic())

        consumer = in_thread(consume)
        time.sleep(0.005)
        closed_at = time.monotonic()
        channel.close()
        consumer.join(5)
        delays.append(ended_at[0] - closed_at)
    assert sorted(delays)[len(delays) // 2] < 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity": 0}, "capacity must be 1 or more; found 0"),
        ({"max_bytes": 0}, "max_bytes must be 1 or more; found 0"),
        ({"max_item_bytes": 0}, "max_item_bytes must be 1 or more; found 0"),
        ({"policy": "oldest"}, "'oldest'; allowed: block, newest"),
    ],
)
def test_bad_limits_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Channel(**{"capacity": 1, "policy": "block", "stop": StopFlag(), **options})  # type: ignore[arg-type]


@settings(max_examples=40, derandomize=True, deadline=None)
@given(sizes=st.lists(st.integers(0, 30), max_size=20), bound=st.integers(1, 40))
def test_items_are_limited_by_their_bytes(sizes: list[int], bound: int) -> None:
    """The queue never holds more than the limit, or one item that is larger by itself."""
    channel: Channel[int] = Channel(
        capacity=4, policy="block", stop=StopFlag(), max_item_bytes=bound
    )
    waiting: list[int] = []
    most = 0
    for size in sizes:
        while waiting and (len(waiting) == 4 or sum(waiting) + size > bound):
            assert channel.get(timeout_seconds=0) == waiting.pop(0)
        assert channel.put(size, item_bytes=size)
        waiting.append(size)
        most = max(most, sum(waiting))
    assert most <= max(bound, *sizes, 0)


def test_a_large_item_waits_for_space() -> None:
    stop = StopFlag()
    channel: Channel[int] = Channel(capacity=4, policy="block", stop=stop, max_item_bytes=10)
    assert channel.put(1, item_bytes=25)  # alone, whatever its size
    producer = in_thread(lambda: channel.put(2, item_bytes=1))
    time.sleep(0.15)
    assert len(channel) == 1
    assert channel.get() == 1
    producer.join(5)
    assert channel.get() == 2


def test_large_items_wait_by_their_bytes() -> None:
    channel: Channel[int] = Channel(capacity=9, policy="block", stop=StopFlag(), max_item_bytes=10)
    assert channel.put(1, item_bytes=6)
    assert channel.put(2, item_bytes=4)
    producer = in_thread(lambda: channel.put(3, item_bytes=5))
    time.sleep(0.15)
    assert len(channel) == 2
    assert channel.get() == 1
    producer.join(5)
    assert [channel.get(), channel.get()] == [2, 3]
