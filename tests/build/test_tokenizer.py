"""The tokenizer: T5's layout of ids, the same bytes every time, and parts that tokenise apart as they do together."""

import io

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from flannb.build import Texts, Tokenizer, open_tokenizer, train_tokenizer
from flannb.errors import UserError
from flannb.vocabulary import EOS_ID, PAD_ID

TEXTS = [
    f"the {animal} eats {food} .\nwhat does the {animal} eat ?" for animal in ("cat", "ox") for food in ("hay", "fish")
]


def test_training_is_deterministic(tmp_path):
    first = train_tokenizer(TEXTS * 5, tmp_path / "a.model", 60)
    second = train_tokenizer(TEXTS * 5, tmp_path / "b.model", 60)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.fingerprint == second.fingerprint


def test_ids_are_laid_out_as_t5_has_them(tokenizer):
    assert (PAD_ID, EOS_ID) == (0, 1)
    assert tokenizer.pieces("") == [] and tokenizer.encode([""]) == [[]]
    assert tokenizer.vocabulary_size % 128 == 0
    ids = tokenizer.encode(["the cat eats"])[0]
    assert min(ids) > 1 and max(ids) < tokenizer.vocabulary_size - 100


def test_decoding_gives_the_text_and_skips_ids_without_a_piece(tokenizer):
    ids = tokenizer.encode(["is it true or false ?"])[0]
    last = tokenizer.vocabulary_size - 1
    assert tokenizer.decode([ids, [*ids, last], []]) == ["is it true or false ?"] * 2 + [""]


@given(st.lists(st.text(), min_size=1, max_size=5), st.sampled_from([" ", "\n", "\n\n", "\n\n\n"]))
def test_ids_of_parts_joined_by_white_space_are_those_of_the_joined_text(tokenizer, parts, separator):
    together = tokenizer.encode([separator.join(parts)])[0]
    assert [i for ids in tokenizer.encode(parts) for i in ids] == together


def test_a_missing_or_foreign_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no such tokenizer"):
        Tokenizer(tmp_path / "spiece.model")
    (tmp_path / "spiece.model").write_bytes(b"not a model")
    with pytest.raises(UserError, match="not a SentencePiece model"):
        Tokenizer(tmp_path / "spiece.model")


@pytest.mark.parametrize(
    "changes", [{"split_by_whitespace": False}, {"user_defined_symbols": ["\n"], "remove_extra_whitespaces": False}]
)
def test_a_model_whose_pieces_go_across_white_space_is_a_user_error(changes, tmp_path):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text.replace("\n", " ") for text in TEXTS] * 5),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        **changes,
    )
    (tmp_path / "spiece.model").write_bytes(model.getvalue())
    with pytest.raises(UserError, match="go across white space"):
        Tokenizer(tmp_path / "spiece.model")


SPACED = st.lists(st.text(st.sampled_from(" \t\r\n\v\u00a0\u200b\ufeffabé☃"), max_size=12), max_size=6)


@given(SPACED)
def test_tokens_of_words_are_those_of_the_text_whatever_its_white_space(tokenizer, texts):
    alone = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer.path))
    assert tokenizer.encode(texts) == [alone.encode(text) for text in texts]


def test_no_text_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no tokenizer could be trained"):
        train_tokenizer([], tmp_path / "spiece.model", 60)
    assert not (tmp_path / "spiece.model").exists()


@given(st.lists(st.text(max_size=8), max_size=8), st.lists(st.text(max_size=8), max_size=8))
def test_texts_are_tokenised_once_and_keep_their_numbers(tokenizer, first, then):
    texts = Texts(tokenizer)
    numbers = [texts[text] for text in first]
    before = texts.tokens().to_arrow().to_pylist()
    assert [before[number] for number in numbers] == tokenizer.encode(first)
    more = [texts[text] for text in then]
    after = texts.tokens().to_arrow().to_pylist()
    assert after[: len(before)] == before and [after[number] for number in more] == tokenizer.encode(then)
    assert len(after) == len({*first, *then})


def test_an_opened_tokenizer_stays_until_its_file_changes(tmp_path):
    path = train_tokenizer(TEXTS * 5, tmp_path / "spiece.model", 60).path
    first = open_tokenizer(path)
    assert open_tokenizer(path) is first
    copy = tmp_path / "copy.model"
    copy.write_bytes(path.read_bytes())
    assert open_tokenizer(copy) is first
    train_tokenizer([text.upper() for text in TEXTS] * 5, path, 60)
    assert open_tokenizer(path).encode(["CAT"]) != first.encode(["CAT"])
    path.unlink()
    with pytest.raises(UserError, match="no such tokenizer"):
        open_tokenizer(path)
