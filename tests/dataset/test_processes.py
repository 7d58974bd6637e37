# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in several processes: in order, deaf to Ctrl-C, ended early without its rest, and named where one is killed."""

import operator
import os
import signal
import threading

import pytest
from twinset.dataset import processes
from twinset.dataset.processes import mapped, processes_for
from twinset.engine.errors import DataError


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    with mapped(operator.neg, range(100), workers, "negated numbers") as results:
        assert list(results) == [-n for n in range(100)]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no masks of signals")
def test_processes_are_deaf_to_interrupts_and_this_one_is_not() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.getsignal(signal.SIGINT)
    with mapped(signal.getsignal, [signal.SIGINT] * 4, 2, "looked") as results:
        assert list(results) == [signal.SIG_IGN] * 4
    assert (signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.getsignal(signal.SIGINT)) == before


def test_a_killed_process_is_an_error_that_says_what_it_did() -> None:
    with pytest.raises(DataError, match="A process that weighed things was killed"):  # noqa: SIM117
        with mapped(os._exit, [9] * 4, 2, "weighed things") as results:
            list(results)


def test_what_nobody_waits_for_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    monkeypatch.setattr(processes, "_stopped", threading.Event())
    processes._unless_stopped(done.append, 1)
    processes._stopped.set()
    processes._unless_stopped(done.append, 2)
    assert done == [1]


def test_as_many_processes_as_asked_for_but_no_more_than_save_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_processors", lambda: 8)
    assert [processes_for(0, 100), processes_for(3, 100), processes_for(0, 5), processes_for(4, 0)] == [8, 3, 5, 1]
