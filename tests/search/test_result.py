"""A search as a whole, and in a folder."""

import pandas as pd
import pytest

from flannb.errors import UserError
from flannb.mixture import mixture
from flannb.search import MEAN, Search, search


def test_a_search_is_read_as_it_was_written_and_is_a_mixture(shares, scores, tmp_path):
    found = search(shares, scores)
    found.write(tmp_path)
    read = Search.read(tmp_path)
    for name in ("shares", "scores", "left_out"):
        pd.testing.assert_frame_equal(getattr(read, name), getattr(found, name))
    pd.testing.assert_series_equal(read.rates, found.rates)
    pd.testing.assert_series_equal(read.predicted, found.predicted)
    assert mixture(str(tmp_path / "proposal.json")).rates == found.rates.to_dict()
    first = (tmp_path / "proposal.json").read_bytes()
    search(shares, scores).write(tmp_path)
    assert (tmp_path / "proposal.json").read_bytes() == first


def test_the_proposal_is_predicted_to_be_better_than_every_run(shares, scores):
    found = search(shares, scores)
    assert found.predicted[MEAN] > found.regression.predict(shares).mean(axis=1).max()
    assert found.predicted[MEAN] == pytest.approx(found.predicted[["held_in", "cot"]].mean())


def test_what_is_no_search_is_told(tmp_path):
    with pytest.raises(UserError, match=r"proposal\.json: is not there\. The step that writes it has to run first"):
        Search.read(tmp_path)
    (tmp_path / "proposal.json").write_text('{"rates": {}}')
    with pytest.raises(UserError, match=r"proposal\.json: is no search of flannb"):
        Search.read(tmp_path)
