"""A ``tokenizer.json`` of Hugging Face becomes the SentencePiece model that tokenises alike."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2

from flannb.build import Tokenizer
from flannb.errors import UserError


def tokenizer_json(tokenizer, normalizer=None):
    """The file as Hugging Face's converter lays it out: pieces, then the sentinels from the last to the first."""
    model = sentencepiece_model_pb2.ModelProto.FromString(tokenizer.content)
    table = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    vocabulary = [[piece.piece, piece.score] for piece in model.pieces]
    vocabulary += [[f"<extra_id_{number}>", 0.0] for number in reversed(range(100))]
    precompiled = {"type": "Precompiled", "precompiled_charsmap": table}
    return {
        "version": "1.0",
        "normalizer": normalizer(precompiled) if normalizer else precompiled,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": vocabulary, "byte_fallback": False},
    }


def write(folder, content):
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(content))
    return path


def sequence(precompiled):
    """As published T5 1.1 and Flan-T5 have it."""
    strip = {"type": "Strip", "strip_left": False, "strip_right": True}
    replace = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}
    return {"type": "Sequence", "normalizers": [precompiled, strip, replace]}


@pytest.fixture(scope="module")
def made(tokenizer, tmp_path_factory):
    return Tokenizer(write(tmp_path_factory.mktemp("json"), tokenizer_json(tokenizer)))


@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_text_has_the_same_tokens(made, tokenizer, texts):
    assert made.encode(texts) == tokenizer.encode(texts)


def test_sizes_pieces_and_text_are_the_same(made, tokenizer):
    texts = ["Which word  means\nwarm?", "ﬁne Ｗide café"]
    assert made.vocabulary_size == tokenizer.vocabulary_size and made.piece_count == tokenizer.piece_count
    ids = tokenizer.encode(texts)
    assert made.decode(ids) == tokenizer.decode(ids)
    assert made.pieces(texts[0]) == tokenizer.pieces(texts[0])


def test_treatment_of_white_space_beside_the_table_changes_nothing(tokenizer, made, tmp_path):
    found = Tokenizer(write(tmp_path, tokenizer_json(tokenizer, sequence)))
    assert found.content == made.content


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("model"),
        lambda content: content["model"].update(type="BPE"),
        lambda content: content["model"]["vocab"].pop(0),
        lambda content: content["model"].update(vocab={"<pad>": 0}),
        lambda content: content["model"]["vocab"].__setitem__(5, ["x", "high"]),
        lambda content: content.update(normalizer=None),
        lambda content: content.update(normalizer={"type": "NFKC"}),
        lambda content: content["normalizer"].update(precompiled_charsmap="?"),
        lambda content: content.update(normalizer=sequence({**content["normalizer"], "type": "Lowercase"})),
    ],
)
def test_tokenizers_of_other_models_are_refused(change, tokenizer, tmp_path):
    content = tokenizer_json(tokenizer)
    change(content)
    with pytest.raises(UserError, match=r"tokenizer\.json: not the tokenizer of a T5"):
        Tokenizer(write(tmp_path, content))


def test_a_list_is_refused_too(tmp_path):
    with pytest.raises(UserError, match="not the tokenizer of a T5"):
        Tokenizer(write(tmp_path, []))
