"""The character tokenizer: there and back, files that are not what they should be, characters it doesn't know."""

import json
import time

import numpy as np
import pytest

from tlab_core.tokenizers import (
    KIND,
    CharacterTokenizer,
    TokenizerFileError,
    UnknownCharacterError,
)

TEXT = 'Once "Fope" said:\n\t"naïve café, 你好 🙂!"'


@pytest.fixture
def tokenizer():
    return CharacterTokenizer.from_text("to be or not to be\n")


class TestEncodeAndDecode:
    def test_ids_follow_unicode_order(self, tokenizer):
        assert tokenizer.characters == "\n benort"
        assert tokenizer.vocab_size == 8
        np.testing.assert_array_equal(tokenizer.encode("\n b t"), [0, 1, 2, 1, 7])

    @pytest.mark.parametrize("text", [TEXT, "", "🙂", TEXT[::-1] * 50])
    def test_decode_undoes_encode(self, text):
        tokenizer = CharacterTokenizer.from_text(TEXT)
        ids = tokenizer.encode(text)
        assert ids.dtype == np.int32
        assert ids.shape == (len(text),)
        assert tokenizer.decode(ids) == text
        assert tokenizer.decode(ids.tolist()) == text

    def test_every_id_decodes_to_its_own_character(self, tokenizer):
        assert [tokenizer.decode([place]) for place in range(8)] == list(tokenizer.characters)

    def test_the_order_in_which_characters_are_given_does_not_matter(self):
        assert CharacterTokenizer("cab") == CharacterTokenizer(["a", "b", "c"]) != CharacterTokenizer("abd")

    def test_a_megabyte_takes_a_fraction_of_a_second(self):
        text = TEXT * (1_000_000 // len(TEXT))
        tokenizer = CharacterTokenizer.from_text(text)
        start = time.perf_counter()
        ids = tokenizer.encode(text)
        tokenizer.decode(ids)
        assert time.perf_counter() - start < 0.5  # a Python loop over the characters takes longer; measured: 0.02


class TestUnknownCharacters:
    def test_the_error_says_which_where_and_what_to_do(self, tokenizer):
        with pytest.raises(UnknownCharacterError) as caught:
            tokenizer.encode("to bé or")
        assert (caught.value.character, caught.value.position) == ("é", 4)
        assert "'é' (U+00E9) at position 4 is not one of the 8 that this tokenizer knows" in str(caught.value)
        assert "Write 'e' instead" in str(caught.value)

    @pytest.mark.parametrize(
        ("text", "advice"),
        [("“", "Write '\"' instead"), ("B", "Write 'b' instead"), ("É", "Write 'e' instead"), ("…", "Write '.' instead"),
         ("Ω", "Leave it out"), ("\U0010ffff", "Leave it out"), ("\ud800", "Leave it out")],
    )
    def test_advice(self, text, advice):
        with pytest.raises(UnknownCharacterError, match=advice):
            CharacterTokenizer('"be.').encode("be" + text)

    def test_characters_between_and_beyond_the_known_ones(self):
        for text in ("b", "`", "d", "\0"):
            with pytest.raises(UnknownCharacterError):
                CharacterTokenizer("ac").encode(text)

    def test_unknown_lists_each_once_in_order(self, tokenizer):
        assert tokenizer.unknown("zebra zoo?") == ["z", "a", "?"]
        assert tokenizer.unknown("") == tokenizer.unknown("to be") == []


class TestWrongInput:
    @pytest.mark.parametrize(
        ("characters", "message"),
        [("", "at least one character"), ("abca", "'a' .U.0061. is there twice"), (["ab"], "'ab' is not a single"),
         ("a\ud800", "half of a surrogate pair")],
    )
    def test_alphabets(self, characters, message):
        with pytest.raises(ValueError, match=message):
            CharacterTokenizer(characters)

    @pytest.mark.parametrize(
        ("ids", "message"),
        [([0, 8], "id 8 at position 1 is outside this tokenizer's 0 to 7"), ([-1], "id -1 at position 0"),
         ([[0, 1]], r"shape \(1, 2\)"), (3, r"shape \(\)"), ([0.5], "whole numbers, but these are float64")],
    )
    def test_ids(self, tokenizer, ids, message):
        with pytest.raises(ValueError, match=message):
            tokenizer.decode(ids)


class TestPad:
    def test_batch_and_mask(self, tokenizer):
        ids, mask = tokenizer.pad([tokenizer.encode(text) for text in ("to", "", "be or")])
        np.testing.assert_array_equal(ids, [[7, 5, 0, 0, 0], [0, 0, 0, 0, 0], [2, 3, 1, 5, 6]])
        np.testing.assert_array_equal(mask.sum(1), [2, 0, 5])
        assert ids.dtype == np.int32
        assert mask.dtype == bool
        assert [tokenizer.decode(row[kept]) for row, kept in zip(ids, mask, strict=True)] == ["to", "", "be or"]

    def test_nothing_to_pad(self, tokenizer):
        with pytest.raises(ValueError, match="at least one sequence"):
            tokenizer.pad([])


class TestFiles:
    def test_load_returns_what_was_saved(self, tmp_path):
        tokenizer = CharacterTokenizer.from_text(TEXT)
        tokenizer.save(tmp_path / "t.json")
        loaded = CharacterTokenizer.load(tmp_path / "t.json")
        assert loaded == tokenizer
        np.testing.assert_array_equal(loaded.encode(TEXT), tokenizer.encode(TEXT))

    def test_the_file_is_plain_json(self, tmp_path):
        CharacterTokenizer("ba").save(tmp_path / "t.json")
        content = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
        assert content == {"kind": KIND, "schema": 1, "characters": "ab"}

    def test_a_missing_file_is_an_oserror(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            CharacterTokenizer.load(tmp_path / "none.json")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "not JSON"),
            (b'{"kind": "tlab character tok', "only the beginning"),
            (b"\xff\xfe{}", "byte 0 is not UTF-8"),
            (b"[" * 200_000, "can't be read"),
            (b"1" * 5_000, "can't be read"),
            (b"[]", "holds a JSON list where an object should be"),
            (b"null", "holds a JSON NoneType"),
            (b"{}", "its 'kind' is None"),
            ({"kind": "gpt2"}, "its 'kind' is 'gpt2'"),
            ({"schema": 2}, "its schema is 2, and this version reads 1"),
            ({"schema": True}, "its schema is True"),
            ({"schema": None}, "its schema is None"),
            ({"characters": ["a", "b"]}, "'characters' is .*, and should be text"),
            ({"characters": None}, "'characters' is None"),
            ({"characters": ""}, "at least one character"),
            ({"characters": "aab"}, "'a' .* is there twice"),
            ({"characters": "ba"}, "not in Unicode order"),
            ({"characters": "a\ud800"}, "surrogate"),
            (b" " * 16_000_001, "larger than 16,000,000 bytes"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_files_that_hold_something_else(self, tmp_path, content, message):
        path = tmp_path / "t.json"
        if isinstance(content, dict):
            content = json.dumps({"kind": KIND, "schema": 1, "characters": "ab"} | content).encode()
        path.write_bytes(content)
        with pytest.raises(TokenizerFileError, match=message) as caught:
            CharacterTokenizer.load(path)
        assert str(path) in str(caught.value)
        assert "from_text(text).save(path)" in str(caught.value)
        assert len(str(caught.value)) < 500

    def test_every_truncation_of_a_file_is_refused(self, tmp_path):
        path = tmp_path / "t.json"
        CharacterTokenizer("abc").save(path)
        whole = path.read_bytes().rstrip()
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            with pytest.raises(TokenizerFileError):
                CharacterTokenizer.load(path)
