"""Signals: the first is noted, the second acts as ever."""

import os
import signal
import threading

import pytest

from flannb.train.stop import StopRequest


@pytest.fixture(autouse=True)
def _python_s_own_handlers():
    """Whoever starts the tests may ignore signals."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in StopRequest.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_handlers_return(number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        assert stop.asked
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_interrupt_interrupts():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_notes_nothing():
    asked = []

    def enter():
        with StopRequest() as stop:
            asked.append(stop.asked)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert asked == [False]
