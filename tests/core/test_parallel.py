"""Executors give the same results in the same order, and the BLAS limit comes and goes with the step."""

import threading
import time
import warnings

import numpy as np
import pytest

from tlab_core import parallel
from tlab_core.parallel import cut, one_blas_thread, resolve_executor, resolve_shards, serial, threads
from tlab_core.registry import UnknownNameError

executors = pytest.mark.parametrize("executor", [serial, threads])


def blas_threads():
    return [library.num_threads for library in parallel.blas_libraries()]


@pytest.mark.parametrize(("size", "parts"), [(8, 2), (7, 3), (16, 5), (3, 3), (1, 1), (1000, 7)])
def test_a_cut_is_even_in_order_and_leaves_nothing_out(size, parts):
    pieces = cut(size, parts)
    lengths = [piece.stop - piece.start for piece in pieces]
    assert [n for piece in pieces for n in range(piece.start, piece.stop)] == list(range(size))
    assert len(pieces) == parts
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(("size", "parts"), [(2, 3), (0, 1), (5, 0)])
def test_an_empty_piece_is_refused(size, parts):
    with pytest.raises(ValueError, match=f"{size} items can't be cut into {parts} parts: allowed are 1 to {size}"):
        cut(size, parts)


def test_auto_is_one_shard_a_core_and_threads_for_several(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 4)
    assert resolve_shards("auto", 16) == 4
    assert resolve_shards("auto", 3) == 3
    assert resolve_shards(5, 16) == 5
    assert resolve_executor("auto", 1) == "serial"
    assert resolve_executor("auto", 2) == "threads"
    assert resolve_executor("Serial", 2) == "serial"
    with pytest.raises(UnknownNameError, match="unknown executor 'thread'.*Did you mean 'threads'"):
        resolve_executor("thread", 2)


@executors
def test_results_come_in_the_jobs_order(executor):
    def slow_first(job):
        time.sleep(0.02 if job == 0 else 0.0)
        return job * job

    assert executor(slow_first, range(9)) == [job * job for job in range(9)]
    assert executor(slow_first, [4]) == [16]


def test_threads_really_run_at_once():
    together = threading.Barrier(2, timeout=10)
    threads(lambda job: together.wait(), [0, 1])  # one after the other, the barrier would break


@executors
def test_numpys_warnings_stay_inside(executor):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = executor(lambda job: np.float32(job) / np.zeros(3, np.float32), [0, 1, 2])
    assert np.isnan(results[0]).all()
    assert np.isposinf(results[2]).all()


@executors
@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_comes_out(executor, bad):
    def work(job):
        if job == bad:
            raise KeyError(f"job {job}")

    with pytest.raises(KeyError, match=f"job {bad}"):
        executor(work, range(4))


def test_after_an_error_no_thread_is_still_at_work():
    started, ended = threading.Event(), threading.Event()

    def work(job):
        if job == 0:
            assert started.wait(10)
            raise KeyError
        started.set()
        time.sleep(0.1)
        ended.set()

    with pytest.raises(KeyError):
        threads(work, [0, 1])
    assert ended.is_set()


def test_products_are_held_to_one_thread_and_let_go_again():
    before = blas_threads()
    with one_blas_thread():
        assert set(blas_threads()) == {1}
        with one_blas_thread():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_one_trainer_does_not_lift_anothers_limit():
    before = blas_threads()
    inside, leave = threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        assert inside.wait(10)
    assert set(blas_threads()) == {1}  # the other is still at work
    leave.set()
    thread.join(10)
    assert blas_threads() == before


def test_the_limit_is_lifted_after_an_error():
    before = blas_threads()
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert blas_threads() == before


def test_the_pool_is_shared_and_the_kernel_has_a_name():
    assert parallel.pool() is parallel.pool()
    assert parallel.blas_kernels()
