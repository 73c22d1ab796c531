"""Programs of a model: compiled once for each shape, and again where that failed."""

import gc
import weakref
from concurrent.futures import wait

import jax
import numpy as np
import pytest

from flannb.model import T5Config, build_model
from flannb.model.inference import Programs


def fail(lowered):
    raise MemoryError("no room for the program")


def test_a_compilation_that_failed_is_tried_again(monkeypatch):
    model = build_model(T5Config(40, 1, 1, 8, 8, 4), seed=0)
    programs = Programs(lambda model, x: x + model.config.num_layers)
    one, two = np.ones(3, np.float32), np.ones(5, np.float32)

    kept = programs.prepare(model, two)
    with monkeypatch.context() as patched:
        patched.setattr(jax.stages.Lowered, "compile", fail)
        broken = programs.prepare(model, one)
        with pytest.raises(MemoryError, match="no room"):
            broken(one)
    np.testing.assert_array_equal(programs.prepare(model, one)(one), 2 * one)
    np.testing.assert_array_equal(kept(two), 2 * two)
    assert len(programs._programs[model]) == 2


def test_a_compilation_that_failed_in_the_background_is_tried_again(monkeypatch):
    model, one = build_model(T5Config(40, 1, 1, 8, 8, 4), seed=0), np.ones(3, np.float32)
    programs = Programs(lambda model, x: x + model.config.num_layers)
    with monkeypatch.context() as patched:
        patched.setattr(jax.stages.Lowered, "compile", fail)
        programs.prepare(model, one)
        wait(programs._programs[model].values())
    np.testing.assert_array_equal(programs.prepare(model, one)(one), 2 * one)


def test_a_compilation_that_failed_keeps_no_model(monkeypatch):
    model, one = build_model(T5Config(40, 1, 1, 8, 8, 4), seed=0), np.ones(3, np.float32)
    programs, alive = Programs(lambda model, x: x + 1), weakref.ref(model)
    monkeypatch.setattr(jax.stages.Lowered, "compile", fail)
    with pytest.raises(MemoryError):
        programs.prepare(model, one)(one)
    del model
    gc.collect()
    assert alive() is None
