"""The corpora: the same everywhere, as large and as varied as they claim, with answers where they say."""

import hashlib
import logging
import os
import re
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pooch
import pytest

from tlab_core.corpora import CORPORA, CorpusError, corpus, load_corpus, python_text, shakespeare, tasks
from tlab_core.corpora.dice import Dice
from tlab_core.corpora.stories import stories
from tlab_core.tokenizers import CharacterTokenizer

SHAKESPEARE_COPY = Path(__file__).parents[3] / "shared" / "data" / "tiny_shakespeare.txt"
OFFLINE = [name for name in CORPORA.names() if name != "tiny-shakespeare"]
MADE_HERE = [name for name in OFFLINE if not name.startswith("python-")]
TASKS = MADE_HERE[1:]
# Made by our own dice, so the same on every machine. A change here changes every measured figure of the lab.
SHA256 = {
    "stories": "3ac3b9541dfc6e8c0c108f089e26768fe1fe8e6595c9e2c263cf68cfc5042d79",
    "induction": "cc82fbf43bd72f97742b03f56a9838234bd97659ae105fa2dc45285f763876ff",
    "copy": "eb89757e5443edf9a45ba28a3d238feb1df395f4ea09e2d2ae2472d049969a8a",
    "reverse": "8e3fb78e932153034f25401d43877fbb4393c0eb84093cef8c0b18fb1b753d78",
    "addition": "189db04086b7720d1c6cb9f1bc70f8d0de5df4140525bd5dff206dcc641c072d",
    "modular-addition": "3127c5bb39cbe849fbfee15cbea549f158acd7e337ad3fc9aee9f4843e9d6ed6",
    "brackets": "ed5f2ed7077d3ac3485d478f3ebcda3ff8c486ffbe9e6e1e69672ea9c7e5af9b",
}


class TestEveryCorpus:
    def test_the_names(self):
        assert CORPORA.names() == ["stories", "python-docs", "python-source", "induction", "copy", "reverse", "addition",
                                   "modular-addition", "brackets", "tiny-shakespeare"]

    @pytest.mark.parametrize("name", OFFLINE)
    def test_is_quickly_made_and_kept(self, name):
        start = time.perf_counter()
        CORPORA.get(name).__wrapped__()
        assert time.perf_counter() - start < 1.5
        assert corpus(name) is corpus(name.upper())

    @pytest.mark.parametrize("name", OFFLINE)
    def test_says_what_it_is_and_how_to_begin(self, name):
        found = corpus(name)
        assert found.name == name
        assert found.description == CORPORA.get(name).__doc__
        assert len(found.description) > 20
        assert found.tokenizer.unknown(found.prompt) == []
        assert 2 <= len(found.prompt) <= 30
        assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest()

    @pytest.mark.parametrize("name", OFFLINE)
    def test_has_its_size_and_no_strange_characters(self, name):
        text, tokenizer = load_corpus(name)
        low, high = (200_000, 400_000) if name in TASKS else (400_000, 1_050_000)
        assert low <= len(text) <= high
        assert re.fullmatch(r"[\n -~]*", text)
        assert tokenizer == CharacterTokenizer.from_text(text)

    @pytest.mark.parametrize("name", MADE_HERE)
    def test_is_the_same_everywhere(self, name):
        assert corpus(name).sha256 == SHA256[name]

    def test_does_not_depend_on_the_order_of_sets(self):
        program = f"from tlab_core.corpora import corpus\nfor name in {MADE_HERE}:\n    print(name, corpus(name).sha256)"
        environment = os.environ | {"PYTHONHASHSEED": "12345"}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
        assert dict(line.split() for line in done.stdout.splitlines()) == SHA256


class TestDice:
    def test_the_first_numbers_are_what_python_promises(self):
        dice = Dice(1)
        assert [dice.below(1000) for _ in range(5)] == [134, 847, 763, 255, 495]

    def test_ranges(self):
        dice = Dice(2)
        assert {dice.between(3, 5) for _ in range(200)} == {3, 4, 5}
        assert sorted(dice.shuffle(list(range(9)))) == list(range(9))
        assert len(set(dice.sample("abcdef", 4))) == 4
        assert len(set(dice.favour_different("abc", 3))) == 3

    def test_favour_prefers_the_first_as_it_says(self):
        dice = Dice(3)
        counts = Counter(dice.favour("abcd") for _ in range(20_000))
        assert [round(100 * counts[letter] / 20_000) for letter in "abcd"] == pytest.approx([50, 21, 16, 13], abs=1)


@pytest.fixture(scope="module")
def told() -> list[str]:
    return stories().text.rstrip("\n").split("\n\n")


class TestStories:
    def test_alphabet(self):
        characters = set(stories().text)
        assert characters >= set("abcdefghijklmnopqrstuvwxyz \n.,\"'!?")
        assert 45 <= len(characters) <= 55

    def test_many_begin_with_the_prompt(self, told):
        assert stories().prompt == "One day "
        assert sum(one.startswith("One day ") for one in told) > len(told) / 3

    def test_stories_are_short_and_hardly_ever_the_same(self, told):
        assert len(told) > 2000
        assert {one.count("\n") for one in told} == {0}
        assert 100 < min(map(len, told)) <= max(map(len, told)) < 1000
        assert len(set(told)) > 0.99 * len(told)

    def test_sentences_are_written_properly(self, told):
        for one in told:
            assert re.fullmatch(r'["A-Z].*[.!?]"?', one), one
            assert one.count('"') % 2 == 0, one
            assert not re.search(r"[{}\[\]|]|  | [.,!?]|\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", one), one

    def test_a_few_hundred_words_and_names_that_come_back(self, told):
        words = Counter(re.findall(r"[A-Za-z']+", " ".join(told)))
        assert 150 < sum(word.islower() for word in words) < 400
        syllables = "(Re|Fo|Be|So|Ka|Mi|Lu|Da|No|Wi)(da|lo|vi|ma|nu)(n|pe|rn)?"
        invented = {word for word in words if re.fullmatch(syllables, word)}
        assert len(invented) > 150
        with_invented = [(one, name) for one in told for name in set(re.findall(r"[A-Z]\w+", one)) & invented]
        assert len(with_invented) > len(told) / 2
        assert sum(one.count(name) >= 2 for one, name in with_invented) > 0.95 * len(with_invented)

    def test_things_are_remembered(self, told):
        finding = re.compile(r'"(?:It is|I saw it) (.+?)," said \w+\. \w+ looked (.+?) and found the')
        found = [match for one in told if (match := finding.search(one))]
        assert len(found) > 50
        assert all(match[1] == match[2] for match in found)

    def test_swaps_come_out_right(self, told):
        swap = re.compile(r"So (\w+) gave the (\w+) to (\w+), and \3 gave the (\w+) to \1\. Now (.*?)\.")
        swaps = [match for one in told if (match := swap.search(one))]
        assert len(swaps) > 100
        for match in swaps:
            hero, given, friend, taken, now = match.groups()
            assert re.fullmatch(f"{hero} had (the \\w+|a) {taken}(, and {friend} had a {given})?", now)


def lines_of(name: str) -> list[str]:
    text = corpus(name).text
    assert text.endswith("\n")
    return text.splitlines()


def answers_of(name: str) -> list[str]:
    """Return the marked characters of each line."""
    found = corpus(name)
    mask = found.answer_mask()
    assert mask.dtype == bool
    assert mask.shape == (len(found.text),)
    starts = np.cumsum([0, *(len(line) + 1 for line in lines_of(name))])
    assert not mask[starts[1:] - 1].any()  # newlines
    return ["".join(np.array(list(found.text[a:b]))[mask[a:b]]) for a, b in pairwise(starts)]


class TestTasks:
    def test_only_tasks_have_answers(self):
        assert [name for name in OFFLINE if corpus(name).answer_mask() is not None] == TASKS

    @pytest.mark.parametrize(
        ("name", "solve"),
        [
            ("copy", lambda question: question),
            ("reverse", lambda question: question[::-1]),
            ("addition", lambda question: str(sum(map(int, question.split("+"))))),
            ("modular-addition", lambda question: str(sum(map(int, question.split("+"))) % 97)),
        ],
    )
    def test_answers_are_right_and_marked(self, name, solve):
        marker = corpus(name).answer_marker
        for line, marked in zip(lines_of(name), answers_of(name), strict=True):
            question, answer = line.split(marker)
            assert answer == marked == solve(question)

    def test_brackets_close_last_opened_first(self):
        for line, marked in zip(lines_of("brackets"), answers_of("brackets"), strict=True):
            question, answer = line.split(">")
            assert answer == marked != ""
            still_open = []
            for bracket in question + answer:
                if bracket in "([{":
                    still_open.append(bracket)
                else:
                    assert still_open.pop() + bracket in ("()", "[]", "{}")
            assert not still_open

    def test_induction_answers_are_what_followed_last_time(self):
        for line, marked in zip(lines_of("induction"), answers_of("induction"), strict=True):
            period = next(place for place in range(1, len(line)) if line[place] in line[:place])
            assert line == (line[:period] * 3)[: len(line)]
            assert marked == line[period + 1 :]
            assert len(marked) >= 2
            for place in range(period + 1, len(line)):
                earlier = line.rindex(line[place - 1], 0, place - 1)
                assert line[place] == line[earlier + 1]

    @pytest.mark.parametrize("name", ["induction", "copy", "reverse", "addition", "brackets"])
    def test_position_alone_solves_nothing(self, name):
        """The best guess from a character's place in its line, or from its place behind the marker, is often wrong."""
        places, behind, total = {}, {}, 0
        found = corpus(name)
        for line, marked in zip(lines_of(name), answers_of(name), strict=True):
            first = len(line) - len(marked)
            for place in range(first, len(line)):
                # Which earlier place holds the answer: what a head that counts positions would have to know.
                source = place - line.index(line[place]) if found.answer_marker is None else line[place]
                places.setdefault(place, Counter())[source] += 1
                behind.setdefault(place - first, Counter())[source] += 1
                total += 1
        for counts in (places, behind):
            assert sum(counter.most_common(1)[0][1] for counter in counts.values()) < 0.55 * total

    def test_lengths_vary(self):
        for name in ("induction", "copy", "reverse", "brackets"):
            assert len({len(line) for line in lines_of(name)}) >= 10
            assert len({len(marked) for marked in answers_of(name)}) >= 9
        periods = Counter(next(p for p in range(1, 20) if line[p] in line[:p]) for line in lines_of("induction"))
        assert set(periods) == set(range(3, 13))

    def test_addition_has_all_lengths_and_carries(self):
        shapes = Counter(re.sub(r"\d", "d", line) for line in lines_of("addition"))
        assert set(shapes) >= {"d+d=d", "d+dd=dd", "ddd+d=ddd", "ddd+ddd=dddd", "dd+dd=ddd"}

    def test_modular_addition_holds_every_sum_and_keeps_a_tenth_apart(self):
        lines = lines_of("modular-addition")
        assert Counter(lines).most_common()[-1][1] == 3
        assert len(set(lines)) == 97 * 97
        text = corpus("modular-addition").text
        border = int(len(text) * 0.9)
        training, validation = text[:border].split("\n")[:-1], text[border:].split("\n")[1:-1]
        assert len(validation) > 2500
        assert len(set(training) & set(validation)) <= 1  # the line on which the border falls

    def test_lines_of_text_without_answers_have_no_mask(self):
        assert tasks.follows_seen("abc\ncab\n").sum() == 0
        assert tasks.follows_seen("").shape == (0,)


class TestPythonTexts:
    def test_docs_hold_every_topic(self):
        from pydoc_data.topics import topics

        text = corpus("python-docs").text
        assert "The \"if\" statement" in text
        for topic in topics.values():
            assert python_text.plain(topic).strip() in text

    def test_docs_are_missed_clearly(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
        with pytest.raises(CorpusError, match="'python-docs' is the text behind.*no module pydoc_data.topics. Use another"):
            python_text.python_docs.__wrapped__()

    def test_source_is_source(self):
        text = corpus("python-source").text
        assert len(text) > 900_000
        assert text.count("\ndef ") > 500
        assert text.count("\nclass ") > 150
        assert "\t" not in text

    def test_source_takes_modules_in_order_and_skips_what_it_can_not_read(self, monkeypatch, tmp_path):
        (tmp_path / "copy.py").write_text("second = '\té'\n", encoding="utf-8")
        (tmp_path / "abc.py").write_text("first = 1\n\n\n\n", encoding="utf-8")
        (tmp_path / "cmd.py").write_bytes(b"# -*- coding: latin-1 -*-\n# \xe9\n")
        (tmp_path / "this.py").write_text("left = 'out'", encoding="utf-8")
        (tmp_path / "mine.py").write_text("not = 'of the library'", encoding="utf-8")
        (tmp_path / "os.py").write_text("#" * 30_001, encoding="utf-8")
        monkeypatch.setattr(python_text.sysconfig, "get_path", lambda name: str(tmp_path))
        assert python_text.python_source.__wrapped__().text == "first = 1\n\n\nsecond = '      '\n\n\n"

    def test_source_is_missed_clearly(self, monkeypatch, tmp_path):
        monkeypatch.setattr(python_text.sysconfig, "get_path", lambda name: str(tmp_path))
        with pytest.raises(CorpusError, match="keeps none in .*Use another Python") as caught:
            python_text.python_source.__wrapped__()
        assert str(tmp_path) in str(caught.value)


@pytest.fixture
def copy_of_shakespeare():
    if not SHAKESPEARE_COPY.is_file():
        reason = f"no copy of Tiny Shakespeare at {SHAKESPEARE_COPY}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return SHAKESPEARE_COPY


class TestShakespeare:
    def test_the_copy_is_the_known_text(self, copy_of_shakespeare):
        found = shakespeare.corpus_from(copy_of_shakespeare)
        assert len(found.text) == 1_115_394
        assert found.sha256 == shakespeare.SHA256 == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
        assert found.tokenizer.vocab_size == 65
        assert found.text.startswith(found.prompt)

    def test_the_copy_can_be_had_by_its_path(self, copy_of_shakespeare):
        found = corpus(str(copy_of_shakespeare))
        assert found.text == shakespeare.corpus_from(copy_of_shakespeare).text
        assert found.prompt == "First Citizen:"

    def test_a_text_in_the_cache_needs_no_network(self, copy_of_shakespeare, monkeypatch, tmp_path):
        monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path)
        (tmp_path / shakespeare.FILE).write_bytes(copy_of_shakespeare.read_bytes())
        assert shakespeare.tiny_shakespeare.__wrapped__().name == "tiny-shakespeare"

    def test_without_network_it_says_so_and_how_to_go_on(self, monkeypatch, tmp_path):
        monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path)
        logger, reports = pooch.get_logger(), logging.Handler()
        monkeypatch.setattr(reports, "emit", lambda record: pytest.fail(f"pooch reports {record.getMessage()!r}"))
        monkeypatch.setattr(logger, "handlers", [reports])
        logger.setLevel(logging.INFO)
        with pytest.raises(CorpusError, match="'tiny-shakespeare' needs the network once") as caught:
            shakespeare.fetch("http://127.0.0.1:9/input.txt")  # nothing listens on the discard port
        assert "http://127.0.0.1:9/input.txt could not be fetched" in str(caught.value)
        assert "pass the path of a copy" in str(caught.value)

    def test_another_text_is_refused(self, monkeypatch, tmp_path):
        monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache")
        (tmp_path / "page.html").write_text("Please log in.", encoding="ascii")

        class LoginPage:
            """Writes another file than was asked for, as a proxy does."""

            def __init__(self, timeout):
                assert timeout > 0

            def __call__(self, url, output_file, pooch_):
                Path(output_file).write_bytes((tmp_path / "page.html").read_bytes())

        monkeypatch.setattr(pooch, "HTTPDownloader", LoginPage)
        with pytest.raises(CorpusError, match="is not the Tiny Shakespeare text.*login page may be in between"):
            shakespeare.fetch()
        with pytest.raises(CorpusError, match="is not the Tiny Shakespeare text: its sha256 is"):
            shakespeare.corpus_from(tmp_path / "page.html")
