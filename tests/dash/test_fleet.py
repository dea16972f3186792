import gc
import threading
import time
import weakref

import pytest

from tlab_dash.fleet import Fleet


class Counter:
    """A seat that counts its slices and is due again at once while `busy`."""

    def __init__(self, busy=True):
        self.busy = busy
        self.slices = []
        self.failed = None
        self.inside = 0
        self.most_inside = 0

    def slice(self, seconds):
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.slices.append(time.monotonic())
        time.sleep(0.002)
        self.inside -= 1
        return time.monotonic() if self.busy else None

    def fail(self, error):
        self.failed = error


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never came to be"
        time.sleep(0.002)


@pytest.fixture
def fleet():
    fleet = Fleet(workers=1, slice_seconds=0.01)
    yield fleet
    fleet.close()


def test_a_seat_that_is_not_busy_gets_one_slice_for_each_time_it_is_woken(fleet):
    seat = Counter(busy=False)
    fleet.wake(seat)
    wait_for(lambda: len(seat.slices) == 1)
    time.sleep(0.05)
    assert len(seat.slices) == 1
    fleet.wake(seat)
    wait_for(lambda: len(seat.slices) == 2)


def test_busy_seats_take_turns(fleet):
    seats = [Counter() for _ in range(4)]
    for seat in seats:
        fleet.wake(seat)
    wait_for(lambda: all(len(seat.slices) >= 20 for seat in seats))
    counts = [len(seat.slices) for seat in seats]
    assert max(counts) - min(counts) <= 1


def test_two_workers_never_share_a_seat():
    fleet = Fleet(workers=2, slice_seconds=0.01)
    seats = [Counter() for _ in range(3)]
    try:
        for _ in range(100):
            for seat in seats:
                fleet.wake(seat)
            time.sleep(0.001)
        wait_for(lambda: all(len(seat.slices) >= 20 for seat in seats))
    finally:
        fleet.close()
    assert [seat.most_inside for seat in seats] == [1, 1, 1]


def test_an_error_reaches_its_own_seat_and_no_other(fleet):
    class Broken(Counter):
        def slice(self, seconds):
            raise RuntimeError("the disk is full")

    broken, healthy = Broken(), Counter()
    fleet.wake(broken)
    fleet.wake(healthy)
    wait_for(lambda: len(healthy.slices) >= 5)
    assert str(broken.failed) == "the disk is full"
    assert healthy.failed is None


def test_a_seat_that_is_due_later_sleeps_until_then_unless_it_is_woken(fleet):
    class Slow(Counter):
        def slice(self, seconds):
            super().slice(seconds)
            return time.monotonic() + 0.3

    seat = Slow()
    fleet.wake(seat)
    wait_for(lambda: len(seat.slices) == 2)
    assert seat.slices[1] - seat.slices[0] >= 0.3
    began = time.monotonic()
    fleet.wake(seat)
    wait_for(lambda: len(seat.slices) == 3)
    assert time.monotonic() - began < 0.25


def test_being_woken_during_a_slice_is_not_forgotten(fleet):
    entered, leave = threading.Event(), threading.Event()

    class Held(Counter):
        def slice(self, seconds):
            super().slice(seconds)
            entered.set()
            leave.wait(5)

    seat = Held()
    fleet.wake(seat)
    assert entered.wait(5)
    fleet.wake(seat)
    leave.set()
    wait_for(lambda: len(seat.slices) == 2)


def test_an_idle_seat_is_not_kept_alive(fleet):
    def use_one():
        seat = Counter(busy=False)
        fleet.wake(seat)
        wait_for(lambda: len(seat.slices) == 1)
        return weakref.ref(seat)

    gone = use_one()
    wait_for(lambda: gc.collect() is not None and gone() is None)


def test_a_closed_fleet_says_so():
    fleet = Fleet()
    fleet.close()
    with pytest.raises(RuntimeError, match="make a new one"):
        fleet.wake(Counter())
