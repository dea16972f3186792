"""Any text file as a corpus, and what is said of names that are neither a corpus nor a file."""

from pathlib import Path

import pytest

from tlab_core.corpora import CorpusError, corpus, load_corpus, why_not
from tlab_core.corpora import files as files_module
from tlab_core.registry import UnknownNameError

PASSAGE = "It was a dark night, naïve and cold.\n" * 40


class TestTextFiles:
    def write(self, folder: Path, raw: bytes, name: str = "mine.txt") -> Path:
        (folder / name).write_bytes(raw)
        return folder / name

    @pytest.mark.parametrize("raw", [PASSAGE.encode(), b"\xef\xbb\xbf" + PASSAGE.encode(),
                                     PASSAGE.replace("\n", "\r\n").encode(), PASSAGE.replace("\n", "\r").encode()])
    def test_utf8_with_or_without_mark_and_any_line_ends(self, tmp_path, raw):
        path = self.write(tmp_path, raw)
        for given in (path, str(path)):
            text, tokenizer = load_corpus(given)
            assert text == PASSAGE
            assert tokenizer.vocab_size == len(set(PASSAGE))
        found = corpus(path)
        assert (found.name, found.prompt, found.answer_mask()) == (str(path), "It was a dark ni", None)

    def test_home_is_expanded(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        self.write(tmp_path, PASSAGE.encode())
        assert corpus("~/mine.txt").text == PASSAGE

    def test_an_edited_file_is_read_again(self, tmp_path):
        path = self.write(tmp_path, PASSAGE.encode())
        first = corpus(path)
        assert corpus(path) is first
        self.write(tmp_path, (PASSAGE + "More.").encode())
        assert corpus(path).text == PASSAGE + "More."

    def test_a_name_wins_over_a_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.write(tmp_path, PASSAGE.encode(), "stories")
        assert corpus("stories").name == "stories"
        assert corpus("./stories").text == corpus(Path("stories")).text == PASSAGE

    @pytest.mark.parametrize(
        ("raw", "message"),
        [
            (b"", "is empty. A corpus needs at least 1,000 characters"),
            (b" \n" * 2000, "is empty"),
            (b"Too short.", "is too short: it has 10 characters, and a corpus needs at least 1,000. Put more"),
            (PASSAGE[:999].encode(), "it has 999 characters"),
            (b"a" * 2000, "holds nothing but 'a'"),
            (PASSAGE.encode("latin-1"), "is not UTF-8: byte 23 is 0xEF, so it is in another encoding, perhaps Latin-1"),
            (b"\xef\xbb\xbf" + PASSAGE.encode("latin-1"), "is not UTF-8: byte 26 is 0xEF"),
            (PASSAGE.encode("utf-16"), "is not UTF-8: byte 0 is 0xFF, so it is in UTF-16.*iconv -f"),
            (b"ok" * 600 + b"\0" + b"ok" * 600, "is not UTF-8 text: byte 1200 is zero"),
        ],
        ids=lambda value: repr(value)[:30],
    )
    def test_texts_that_are_none(self, tmp_path, raw, message):
        path = self.write(tmp_path, raw)
        with pytest.raises(CorpusError, match=message) as caught:
            load_corpus(path)
        assert str(path) in str(caught.value)

    def test_a_thousand_characters_are_enough(self, tmp_path):
        assert len(corpus(self.write(tmp_path, PASSAGE[:1000].encode())).text) == 1000

    def test_huge_files_and_folders(self, tmp_path, monkeypatch):
        monkeypatch.setattr(files_module, "LARGEST", 1_400)
        path = self.write(tmp_path, PASSAGE.encode())
        with pytest.raises(CorpusError, match=r"mine.txt has 1,520 bytes, and at most 1,400 are read. Cut it shorter"):
            load_corpus(path)
        with pytest.raises(CorpusError, match="is a folder. Pass the path of one text file"):
            load_corpus(tmp_path)

    def test_a_file_that_may_not_be_read(self, tmp_path, monkeypatch):
        path = self.write(tmp_path, PASSAGE.encode())

        def refuse(path):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read every file, so its mode alone would not do
        with pytest.raises(CorpusError, match="can't be read: Permission denied"):
            load_corpus(path)


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("name", "nearest"),
        [("storys", "stories"), ("Shakespeare", "tiny-shakespeare"), ("./reverse", "reverse"), ("copy.txt", "copy")],
    )
    def test_the_nearest_name_and_the_path_are_mentioned(self, name, nearest, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UnknownNameError) as caught:
            corpus(name)
        message = str(caught.value)
        assert message.startswith(f"there is no corpus {name!r}, and no such file in {tmp_path}.")
        assert f"Did you mean {nearest!r}?" in message
        assert "'stories', 'python-docs'" in message
        assert "or pass the path of a UTF-8 text file" in message

    @pytest.mark.parametrize("name", ["", "zzzzzz", "a\0b", "x" * 5000, "~nobody-of-that-name/x"])
    def test_odd_names(self, name):
        with pytest.raises(UnknownNameError, match="there is no corpus"):
            corpus(name)

    def test_why_not_needs_no_text(self, tmp_path):
        (tmp_path / "short.txt").write_text("short", encoding="ascii")
        assert why_not("tiny-shakespeare") == why_not(tmp_path / "short.txt") == ""
        assert "there is no corpus" in why_not("storys")
