"""A small Hub and GitHub on a local socket, which can be slow, break off, cut short, garble and refuse."""

import pytest

from flannb.trust.server import serving


@pytest.fixture
def server(monkeypatch):
    """A running ``HubServer``; downloads do not wait long for it."""
    monkeypatch.setattr("flannb.build.download.FIRST_WAIT", 0.01)
    monkeypatch.setattr("flannb.build.download.TIMEOUT", 1.0)
    with serving() as running:
        yield running
