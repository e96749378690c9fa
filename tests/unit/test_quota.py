"""The quota by a clock that the tests turn."""

from __future__ import annotations

import itertools
import threading

import pytest

from workers.aws.quota import CREDIT_SECONDS, REFUSAL_SECONDS, SHARE_OF_QUOTA, Quota
from workers.errors import StoppedError
from workers.threads.stop import Stop


class Clock(Stop):
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def calls_within(quota: Quota, clock: Clock, seconds: float) -> int:
    """How many calls one caller, that always wants another, gets through."""
    until, calls = clock.now + seconds, 0
    while True:
        quota.wait()
        if clock.now >= until:
            return calls
        calls += 1


def test_the_rate_is_held(clock: Clock) -> None:
    quota = Quota(50, clock, clock)
    calls_within(quota, clock, 3)
    assert calls_within(quota, clock, 10) == pytest.approx(50 * SHARE_OF_QUOTA * 10, abs=2)


def test_no_second_ever_has_more_calls_than_the_quota(clock: Clock) -> None:
    quota = Quota(50, clock, clock)
    made = []
    for pause in [0.0] * 200 + [5.0] + [0.0] * 200 + [0.3, 0.0] * 50:
        clock.now += pause
        quota.wait()
        made.append(clock.now)
    # a bucket: the credit of a pause may be added to a second's worth
    most = 50 * SHARE_OF_QUOTA * (1 + CREDIT_SECONDS) + 1
    assert all(sum(t <= other < t + 1 for other in made) <= most for t in made)


def test_it_begins_at_half_the_rate_and_is_at_the_full_one_after_two_seconds(clock: Clock) -> None:
    quota = Quota(100, clock, clock)
    assert quota.rate == pytest.approx(quota.full_rate / 2)
    assert calls_within(quota, clock, 1) < 100 * 0.7
    calls_within(quota, clock, 1.1)
    assert quota.rate == quota.full_rate


def test_a_crowd_at_the_start_does_not_book_its_turns_at_the_low_rate(clock: Clock) -> None:
    quota, calls = Quota(5, clock, clock), itertools.count()

    def call() -> None:
        while True:
            quota.wait()
            if clock.now >= 1010:
                return
            next(calls)

    crowd = [threading.Thread(target=call) for _ in range(32)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    # two seconds at three quarters of the rate, eight at all of it
    assert next(calls) == pytest.approx(5 * SHARE_OF_QUOTA * 9.5, abs=3)


def test_a_long_pause_saves_up_only_a_moment_worth_of_calls(clock: Clock) -> None:
    quota = Quota(100, clock, clock)
    clock.now += 3600
    quota.wait()
    before = clock.now
    burst = 1
    while True:
        quota.wait()
        if clock.now > before:
            break
        burst += 1
    assert burst <= 100 * CREDIT_SECONDS + 1


def test_refusals_at_one_time_halve_the_rate_once(clock: Clock) -> None:
    quota = Quota(100, clock, clock)
    calls_within(quota, clock, 3)
    full = quota.rate
    for _ in range(20):
        quota.throttled()
    assert quota.rate == pytest.approx(full / 2)
    clock.now += REFUSAL_SECONDS * 0.9
    quota.throttled()
    assert quota.rate == pytest.approx(full / 2)
    clock.now += REFUSAL_SECONDS * 0.2
    quota.throttled()
    assert quota.rate == pytest.approx(full / 4)


def test_it_comes_back_slowly_and_wholly(clock: Clock) -> None:
    quota = Quota(100, clock, clock)
    calls_within(quota, clock, 3)
    quota.throttled()
    clock.now += 5
    quota.wait()
    assert quota.rate == pytest.approx(quota.full_rate * 0.75, rel=0.005)
    clock.now += 6
    quota.wait()
    assert quota.rate == quota.full_rate


def test_however_often_it_is_throttled_some_calls_get_through(clock: Clock) -> None:
    quota = Quota(100, clock, clock)
    for _ in range(100):
        clock.now += 1
        quota.throttled()
    assert quota.rate >= quota.full_rate / 100
    assert calls_within(quota, clock, 10) >= 5


def test_threads_share_the_rate() -> None:
    """All turns are given out at one moment: they are a call's time apart, none twice."""
    clock = Clock()
    turns: list[float] = []
    clock.sleep = turns.append  # type: ignore[method-assign]
    quota = Quota(50, clock, clock)
    threads = [threading.Thread(target=lambda: [quota.wait() for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turns.sort()
    gap = 1 / (quota.full_rate / 2)
    assert [b - a for a, b in itertools.pairwise(turns)] == pytest.approx([gap] * 199)


def test_it_tells_for_how_long_there_was_no_share(clock: Clock) -> None:
    """Others have it then, and nobody has failed; waiting for a turn is another matter."""
    until = clock.now + 30
    quota = Quota(10, clock, clock, share=lambda: float(clock.now >= until))
    assert quota.wait() == pytest.approx(30, abs=0.2)
    assert [quota.wait() for _ in range(5)] == [0] * 5
    assert clock.now > until + 0.2


def test_a_wait_ends_with_the_worker(stop: Stop) -> None:
    quota = Quota(0.01, stop)
    quota.wait()
    threading.Timer(0.05, stop.ask).start()
    with pytest.raises(StoppedError):
        quota.wait()


def test_a_share_that_comes_at_once_is_no_long_wait(clock: Clock) -> None:
    """Who begins with none has gained next to nothing by then."""
    shares = iter([0.0])
    quota = Quota(50, clock, clock, share=lambda: next(shares, 1.0))
    clock.now += 0.001
    assert calls_within(quota, clock, 10) > 50 * 5
