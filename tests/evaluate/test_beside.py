"""Work beside a model: in order, one thing ahead or behind, and no error lost."""

import threading

import pytest

from flannb.evaluate.beside import Behind, ahead


def test_the_next_item_is_made_while_one_is_used():
    second = threading.Event()

    def items():
        yield 1
        second.set()
        yield 2

    items = ahead(items())
    assert next(items) == 1
    assert second.wait(30)
    assert list(items) == [2]


def test_what_making_an_item_raises_comes_in_its_place():
    def items():
        yield 1
        raise ValueError("2")

    items = ahead(items())
    assert next(items) == 1
    with pytest.raises(ValueError, match="2"):
        next(items)


def test_work_is_done_in_order_and_before_the_end():
    done = []
    with Behind() as behind:
        for number in range(20):
            behind(done.append, number)
    assert done == [*range(20)]


@pytest.mark.parametrize("more", [0, 1])
def test_an_error_of_the_work_is_raised(more):
    def work():
        with Behind() as behind:
            behind(lambda: 1 / 0)
            for _ in range(more):
                behind(int)

    with pytest.raises(ZeroDivisionError):
        work()
