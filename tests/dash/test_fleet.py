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


class Watch:
    """A clock that only moves when a seat works."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Sharing:
    """One worker, a Watch, and seats that write down who was served, until `slices` slices were given out."""

    def __init__(self, costs, slices):
        self.watch, self.slices, self.log = Watch(), slices, []
        self.fleet = Fleet(workers=1, clock=self.watch)
        self.seats = [Costly(self, cost) for cost in costs]
        self.after = {}  # what is done when so many slices are over

    def run(self):
        """Let all seats come at once, in order, and wait until all is done."""
        gate = Gate()
        self.fleet.wake(gate)
        for seat in self.seats:
            self.fleet.wake(seat)
        gate.opened.set()
        wait_for(lambda: len(self.log) >= self.slices)
        self.fleet.close()


class Gate:
    """A seat that keeps the worker busy until it is opened."""

    def __init__(self):
        self.opened = threading.Event()

    def slice(self, seconds):
        self.opened.wait(10)


class Costly:
    """A seat whose slices take `cost` seconds each."""

    def __init__(self, sharing, cost):
        self.sharing, self.cost, self.had = sharing, cost, 0.0

    def slice(self, seconds):
        sharing = self.sharing
        if len(sharing.log) >= sharing.slices:
            return None
        sharing.watch.now += self.cost
        self.had += self.cost
        sharing.log.append(self)
        if then := sharing.after.get(len(sharing.log)):
            then()
        return sharing.watch.now


@pytest.mark.parametrize("costs", [[0.1] * 4, [0.1, 0.1, 1.0], [0.02, 0.1, 0.35, 0.1, 0.7], [0.1] * 29 + [2.0]])
def test_seats_get_the_same_time_whatever_their_steps_cost(costs):
    sharing = Sharing(costs, 5000)
    sharing.run()
    fair = sum(seat.had for seat in sharing.seats) / len(costs)
    assert all(abs(seat.had - fair) <= 0.2 * fair for seat in sharing.seats)


def test_seats_of_one_cost_take_turns_and_none_starves():
    sharing = Sharing([0.1] * 30, 900)
    sharing.run()
    for first in range(0, 900, 30):
        assert set(sharing.log[first : first + 30]) == set(sharing.seats)


def test_who_comes_later_neither_catches_up_nor_waits_for_the_others():
    sharing = Sharing([0.1, 0.1, 0.1], 2000)
    late = Costly(sharing, 0.1)
    sharing.after[1000] = lambda: sharing.fleet.wake(late)
    sharing.run()
    rest = sharing.log[1000:]
    assert rest.index(late) <= 3
    counts = [rest.count(seat) for seat in (*sharing.seats, late)]
    assert max(counts) - min(counts) <= 2


def test_a_pause_gives_no_right_to_catch_up():
    sharing = Sharing([0.1, 0.1], 3000)
    early, other = sharing.seats
    sharing.seats = [early]
    sharing.after[1000] = lambda: sharing.fleet.wake(other)
    sharing.run()
    assert abs(sharing.log[1000:].count(early) - sharing.log[1000:].count(other)) <= 2


def test_a_seat_is_told_its_place_and_how_many_there_are():
    sharing, places = Sharing([0.1, 0.1, 0.1], 3), []
    for done in (1, 2, 3):
        sharing.after[done] = lambda: places.append([sharing.fleet.waiting(seat) for seat in sharing.seats])
    sharing.run()
    # One is in its slice, one goes next, one goes after that.
    assert places == [[(0, 3), (0, 3), (1, 3)], [(1, 3), (0, 3), (0, 3)], [(0, 3), (1, 3), (0, 3)]]


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
        pause = 0.3

        def slice(self, seconds):
            super().slice(seconds)
            return time.monotonic() + self.pause

    seat = Slow()
    fleet.wake(seat)
    wait_for(lambda: len(seat.slices) == 2)
    assert seat.slices[1] - seat.slices[0] >= 0.3
    sleeper = Slow()
    sleeper.pause = 1e6
    fleet.wake(sleeper)
    wait_for(lambda: len(sleeper.slices) == 1)
    fleet.wake(sleeper)
    wait_for(lambda: len(sleeper.slices) == 2)


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


def test_no_error_of_a_seat_ends_a_worker(fleet):
    class Leaving(Counter):
        def slice(self, seconds):
            raise SystemExit("a component that calls exit()")

    leaving, healthy = Leaving(), Counter()
    fleet.wake(leaving)
    wait_for(lambda: leaving.failed is not None)
    fleet.wake(healthy)
    wait_for(lambda: len(healthy.slices) >= 3)


def test_a_closed_fleet_says_so():
    fleet = Fleet()
    fleet.close()
    with pytest.raises(RuntimeError, match="make a new one"):
        fleet.wake(Counter())
