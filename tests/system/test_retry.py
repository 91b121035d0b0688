"""How long a retry waits."""

from __future__ import annotations

from rtseg.system.retry import retry_delay


def test_each_failure_doubles_the_wait_up_to_the_longest() -> None:
    assert [retry_delay(failures) for failures in range(1, 8)] == [0.5, 1, 2, 4, 8, 10, 10]
    assert retry_delay(3, first_seconds=0.1) == 0.4
    assert retry_delay(0) == 0.5, "before the first failure"
