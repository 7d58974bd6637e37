# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames are written while the next one is made, in order, and none is lost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from twinset.dataset.writer import FrameWriter
from twinset.engine.errors import OutputError
from twinset.engine.events import FrameDone


def event(frame):
    return FrameDone(frame, frame + 1, 3, None, 1)


def test_a_frame_is_told_once_it_is_written():
    gate, told = threading.Event(), []

    def slow():
        assert gate.wait(10)
        return Path("0.png")

    with FrameWriter() as writer:
        assert list(writer.start(event(0), slow)) == []  # nobody waits here: the next frame is made meanwhile
        gate.set()
        told += writer.start(event(1), lambda: None)
        told += writer.done()
        assert list(writer.done()) == []
    assert [(e.frame, e.image) for e in told] == [(0, Path("0.png")), (1, None)]


def test_what_goes_wrong_is_raised_with_the_next_frame():
    def full():
        raise OutputError("The disk is full.")

    with FrameWriter() as writer:
        list(writer.start(event(0), full))
        with pytest.raises(OutputError, match="full"):
            list(writer.start(event(1), lambda: None))


def test_a_listener_that_stops_loses_no_frame():
    written = []
    with FrameWriter() as writer:
        list(writer.start(event(0), lambda: written.append(0)))
        events = writer.start(event(1), lambda: written.append(1))
        assert next(events).frame == 0
        events.close()
    assert written == [0, 1]


def test_an_error_elsewhere_waits_for_the_frame_in_hand():
    gate, written = threading.Event(), []

    def slow():
        assert gate.wait(10)
        written.append(0)

    with pytest.raises(KeyboardInterrupt), FrameWriter() as writer:
        list(writer.start(event(0), slow))
        threading.Timer(0.05, gate.set).start()
        raise KeyboardInterrupt
    assert written == [0]
