"""Contenders in the process of the tests: what they compute is the same, and nothing is imported anew."""

import importlib
import json

import pytest

from flannb.bench.measure import Measured


@pytest.fixture
def here(tmp_path):
    """Runs a module as ``measure`` does, without a process of its own."""

    def run(module, *arguments):
        path = tmp_path / "result.json"
        path.unlink(missing_ok=True)
        importlib.import_module(module).main([*arguments, str(path)])
        return Measured(json.loads(path.read_text()), seconds=0.0, peak_bytes=0)

    return run
