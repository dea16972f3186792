"""A text of one's own: what is read and what is refused, where it is kept, and how it travels with a run's folder."""

import gc
import shutil

import numpy as np
import pytest

from tlab_core import Architecture, Experiment, LiveRun, Training
from tlab_core.corpora import CorpusError, corpus, corpus_title, own, why_not
from tlab_core.corpora.own import OWN_TEXTS, OwnTexts, address, cleaned_title, is_own, read, why_not_learn
from tlab_core.registry import UnknownNameError
from tlab_core.runs import RunError, RunStore
from tlab_core.runs.own_text import TEXT
from tlab_core.settings import SettingsError
from tlab_core.share import ShareError, from_query, to_query

PASSAGE = "It was a dark night, naïve and cold.\n" * 40
ALPHABET = "".join(map(chr, range(0x4E00, 0x4E00 + own.MOST_DISTINCT)))


class TestReading:
    @pytest.mark.parametrize("raw", [
        PASSAGE.encode(), PASSAGE.encode("utf-8-sig"), PASSAGE.encode("utf-16"), b"\xfe\xff" + PASSAGE.encode("utf-16-be"),
        PASSAGE.replace("\n", "\r\n").encode(), PASSAGE.replace("\n", "\r").encode(),
    ], ids=["utf-8", "mark", "utf-16", "utf-16-be", "windows", "old mac"])  # fmt: skip
    def test_a_text_is_the_same_however_it_was_saved(self, raw):
        assert read(raw).text == PASSAGE
        assert address(read(raw)) == address(read(PASSAGE.encode()))

    @pytest.mark.parametrize("line", ["😀 and 👩‍👧 smile\n", "שלום עולם \u202eمرحبا\n", "<script>alert('x')</script>\n",
                                      "tab\there\fand a page end\n"])  # fmt: skip
    def test_nothing_is_changed(self, line):
        text = line * 80
        found = read(text.encode())
        assert found.text == text
        assert found.tokenizer.decode(found.tokenizer.encode(text)) == text
        assert why_not_learn(found) == ""

    @pytest.mark.parametrize(("raw", "message"), [
        (b"", "The text is empty. Paste one"),
        (b"\xef\xbb\xbf \r\n", "The text is empty"),
        (PASSAGE.encode("latin-1"), "not UTF-8: byte 23, in line 1, is 0xEF. It may be Latin-1"),
        (b"one\ntwo\n" + PASSAGE.encode("latin-1"), "byte 31, in line 3, is 0xEF"),
        (b"\xef\xbb\xbf" + PASSAGE.encode("latin-1"), "byte 26, in line 1, is 0xEF"),
        (PASSAGE.encode("utf-16")[:-1], "begins as UTF-16, but byte 2,960 can't be read.*cut off"),
        (b"\xff\xfea\0\x00\xd8b\0", "begins as UTF-16, but byte 4 can't"),
        (b"ok\nsure\0" + b"ok" * 600, r"Character 5 of line 2 is a control character \(U\+0000\)"),
        ("naïve \x1b[31mred".encode(), r"Character 7 of line 1 is a control character \(U\+001B\)"),
        ("a\x85b".encode(), r"U\+0085"),
        (b"GIF89a\x01\x00\x01", r"U\+0001"),
        ((ALPHABET + "x").encode(), "has 5,001 different characters, and 5,000 are the most"),
    ], ids=lambda value: repr(value)[:24])  # fmt: skip
    def test_what_is_no_text_is_refused_in_words(self, raw, message):
        with pytest.raises(CorpusError, match=message):
            read(raw)

    def test_the_most_different_characters_are_few_enough(self):
        assert read(ALPHABET.encode()).tokenizer.vocab_size == own.MOST_DISTINCT

    def test_ten_megabytes_are_refused_before_they_are_read(self):
        with pytest.raises(CorpusError, match="too large: it has 10,000,000 bytes, and 5,000,000 are the most here"):
            read(b"\xff" * 10_000_000, largest=5_000_000)
        assert len(read(b"ab" * 50, largest=100).text) == 100

    @pytest.mark.parametrize(("text", "message"), [
        ("a" * 2000, "nothing but “a”"), ("ab" * 499, "it has 998 characters, and 1,000 are the least"),
    ])  # fmt: skip
    def test_what_nothing_can_be_learned_from(self, text, message):
        assert message in why_not_learn(read(text.encode()))

    def test_a_title_is_one_visible_line(self):
        assert cleaned_title(" a\x00\u202e b\n\tc ") == "a b c"
        assert len(cleaned_title("word " * 50)) <= own.LONGEST_TITLE
        assert read(PASSAGE.encode(), " \n").name == "It was a dark night, naï"
        assert read(PASSAGE.encode(), "Mine").name == "Mine"
        assert read("\u200b\n".encode() + PASSAGE.encode()).name == "Own text"


class TestKeeping:
    def test_a_kept_text_is_a_corpus_by_its_name(self):
        text = read(b"A text that is kept.\n" * 60, "Kept")
        assert "isn't here" in why_not(address(text))
        name = OWN_TEXTS.keep(text)
        assert is_own(name)
        assert corpus(name) is text
        assert (why_not(name), corpus_title(name)) == ("", "Kept")

    def test_one_that_is_not_here_is_said_to_be_missing_and_how_to_mend_it(self):
        for said in ("isn't here", "Ask whoever made the run", "Use my own text…", "--set corpus=FILE"):
            with pytest.raises(UnknownNameError, match=said):
                corpus("own:0123456789abcdef")
        with pytest.raises(SettingsError, match="isn't here"):
            Experiment(corpus="own:0123456789abcdef").check()

    @pytest.mark.parametrize("name", ["own:", "own:0123456789ABCDEF", "own:0123456789abcdef0", "own:../../passwd", None, 3])
    def test_other_names_are_none_of_its(self, name):
        assert not is_own(name)

    def test_the_same_text_under_another_title_takes_that(self):
        texts = OwnTexts()
        first, second = read(PASSAGE.encode(), "One"), read(PASSAGE.encode(), "Two")
        assert texts.keep(first) == texts.keep(second)
        assert texts.find(address(first)).name == "Two"

    def test_memory_stays_bounded_and_what_is_in_use_stays(self):
        texts = OwnTexts(room=10_000)
        raws = [f"{number:04} ".encode() * 600 for number in range(8)]  # 3,000 characters each
        used = read(raws[0])
        names = [texts.keep(used), *(texts.keep(read(raw)) for raw in raws[1:])]
        gc.collect()
        assert [texts.find(name) is not None for name in names] == [True, *[False] * 4, *[True] * 3]
        del used
        gc.collect()
        assert texts.find(names[0]) is None

    def test_one_text_larger_than_the_room_is_kept_alone(self):
        texts = OwnTexts(room=10)
        assert texts.find(texts.keep(read(PASSAGE.encode()))) is not None


class TestLinks:
    def test_a_link_opens_where_the_text_is_and_gives_none_of_it_away(self):
        name = OWN_TEXTS.keep(read(PASSAGE.encode(), "My secret diary"))
        query = to_query(Experiment(corpus=name))
        assert "secret" not in query
        assert "dark" not in query
        assert from_query(query).corpus == name

    def test_elsewhere_it_says_what_to_do(self):
        link = "corpus=own%3A0123456789abcdef&v=1"
        with pytest.raises(ShareError, match="own text, which a link leaves out.*“Use my own text…” on this page"):
            from_query(link)
        with pytest.raises(ShareError, match="--set corpus=FILE"):
            from_query(link, limits=False)

    def test_the_same_words_in_a_file_make_the_run_again(self, tmp_path):
        (tmp_path / "mine.txt").write_bytes(PASSAGE.replace("\n", "\r\n").encode())
        found = from_query("corpus=own%3A0123456789abcdef&v=1", limits=False, text=str(tmp_path / "mine.txt"))
        assert corpus(found.corpus).sha256 == read(PASSAGE.encode()).sha256


class TestRunFolders:
    @pytest.fixture
    def forget(self, monkeypatch):
        """Return a function that makes this process one that has never seen the text."""

        def forget_all():
            fresh = OwnTexts()
            for module in ("tlab_core.corpora", "tlab_core.corpora.own", "tlab_core.runs.own_text"):
                monkeypatch.setattr(f"{module}.OWN_TEXTS", fresh)
            return fresh

        return forget_all

    @pytest.fixture
    def store(self, tmp_path, forget):
        """A store with a run on a text of one's own, in a process that does not have that text."""
        text = read(PASSAGE.encode(), "Ada's letters")
        name = forget().keep(text)
        training = Training(batch_size=4, seq_len=8, executor="serial", warmup_steps=2)
        run = LiveRun(Experiment(
            architecture=Architecture(hidden_dim=8, num_layers=1, num_heads=2, max_seq_len=16), training=training,
            corpus=name,
        ))  # fmt: skip
        store = RunStore(tmp_path / "runs")
        writer = store.create(run)
        run.advance(steps=3)
        writer.close()
        run.trainer.close()
        del run, writer, text
        forget()
        return store

    def test_a_run_goes_on_where_the_text_was_never_brought(self, store, tmp_path):
        shutil.move(store.folder, tmp_path / "elsewhere")
        store = RunStore(tmp_path / "elsewhere")
        (info,) = store.list()
        assert info.name == "Ada-s letters-1"
        assert (store.folder / info.name / TEXT).read_text(encoding="utf-8") == PASSAGE
        run, writer, differences = store.resume(info.name)
        try:
            assert (run.step, differences) == (3, [])
            assert corpus_title(run.experiment.corpus) == "Ada's letters"
            assert np.isfinite(run.advance(steps=1)[0].loss)
        finally:
            writer.close()
            run.trainer.close()

    def test_other_runs_keep_no_text(self, tmp_path):
        run = LiveRun(Experiment(
            architecture=Architecture(hidden_dim=8, num_layers=1, num_heads=2), training=Training(executor="serial"),
        ))  # fmt: skip
        store = RunStore(tmp_path / "runs")
        store.create(run, "it").close()
        run.trainer.close()
        assert not (store.folder / "it" / TEXT).exists()

    @pytest.mark.parametrize(("spoil", "said"), [
        (lambda path: path.unlink(), "can't be read"),
        (lambda path: path.write_text(PASSAGE + "More.", encoding="utf-8"), "not the text that the run learned"),
        (lambda path: path.write_bytes(PASSAGE.encode("latin-1")), "can't be used: The text is not UTF-8"),
    ], ids=["lost", "edited", "other encoding"])  # fmt: skip
    def test_without_its_text_it_can_be_looked_at_and_says_why_it_stops(self, store, forget, spoil, said):
        (info,) = store.list()
        spoil(store.folder / info.name / TEXT)
        saved = store.open(info.name)
        assert saved.step == 3
        (remark,) = saved.remarks
        assert said in remark
        assert f"put the text back as {TEXT}" in remark
        with pytest.raises(RunError, match=said):
            store.resume(info.name)
        forget().keep(read(PASSAGE.encode()))  # somebody brings it
        assert store.open(info.name).remarks == []
