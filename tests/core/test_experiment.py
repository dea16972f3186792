"""The experiment: what it stores, what it lets the corpus decide, and what it finds not to go together."""

import json

import pytest

from tlab_core.config import Architecture, Training
from tlab_core.corpora import corpus
from tlab_core.corpora.base import Corpus
from tlab_core.experiment import Experiment, default_experiment
from tlab_core.knobs import KnobError
from tlab_core.settings import SettingsError

SMALL = Corpus("small", "abc abc.\n" * 200, "A small text.", "abc")


def only(problems):
    assert len(problems) == 1, problems
    return problems[0]


class TestStoring:
    def test_there_and_back_through_json(self):
        experiment = Experiment(architecture=Architecture(num_layers=6, norm_type="layernorm"), training=Training(seed=4),
                                corpus="copy", probe_text="abc>abc", prompt="xyz>")
        stored = json.loads(json.dumps(experiment.to_dict()))
        assert list(stored) == ["architecture", "training", "corpus", "probe_text", "prompt"]
        assert stored["architecture"]["norm_type"] == "LayerNorm"
        assert Experiment.from_dict(stored) == experiment != Experiment()

    def test_what_is_left_out_takes_its_default(self):
        loaded = Experiment.from_dict({"architecture": {"num_layers": 6}})
        assert loaded == Experiment(architecture=Architecture(num_layers=6))
        assert loaded.training == Training()

    def test_two_experiments_share_no_parts(self):
        first, second = Experiment(), Experiment()
        first.architecture.num_layers = 7
        assert second.architecture.num_layers == 4

    def test_replace_leaves_the_original_as_it_is(self):
        experiment = Experiment()
        other = experiment.replace(corpus="reverse", training=Training(steps=5))
        assert (other.corpus, other.training.steps) == ("reverse", 5)
        assert experiment == Experiment()

    @pytest.mark.parametrize(
        ("values", "error", "message"),
        [
            ({"architectur": {}}, TypeError, "Experiment has no knob 'architectur'. Did you mean 'architecture'?"),
            ({"training": {"learnin_rate": 1}}, TypeError, "Training has no knob 'learnin_rate'. Did you mean"),
            ({"architecture": {"num_layers": 0}}, KnobError, "num_layers = 0 is not allowed"),
            ({"architecture": 3}, ValueError, "architecture.* must be an instance of Architecture"),
            ({"corpus": None}, KnobError, "corpus = None is not allowed: it must be text"),
            ({"prompt": 5}, KnobError, "prompt = 5 is not allowed"),
        ],
    )
    def test_what_is_wrong_is_named(self, values, error, message):
        with pytest.raises(error, match=message):
            Experiment.from_dict(values)


class TestWhatTheCorpusDecides:
    @pytest.mark.parametrize("name", ["stories", "copy", "brackets"])
    def test_vocabulary_and_prompt(self, name):
        experiment = Experiment(corpus=name, architecture=Architecture(num_layers=6))
        resolved = experiment.resolved()
        assert resolved.architecture.vocab_size == corpus(name).tokenizer.vocab_size != 65
        assert resolved.prompt == corpus(name).prompt
        assert resolved.architecture.num_layers == 6
        assert (experiment.prompt, experiment.architecture.vocab_size) == ("", 65)
        assert resolved.resolved() == resolved
        assert not resolved.problems(corpus(name))

    def test_a_prompt_of_ones_own_stays(self):
        assert Experiment(prompt="So ").resolved(SMALL).prompt == "So "

    def test_the_probe_is_the_first_whole_line_that_is_never_trained_on(self):
        text = Corpus("numbered", "".join(f"line {number}\n\n" for number in range(1000)), "Lines.", "line")
        experiment = Experiment(training=Training(validation_fraction=0.5, seq_len=16))
        probe = experiment.probe(text)
        assert len(probe) == 17  # one more than the context: the last is only foretold
        border = len(text.text) // 2
        start = text.text.index(probe)
        assert border < start < border + 12
        assert text.text[start - 1] == "\n"
        assert probe.startswith("line ")
        assert experiment.replace(probe_text="my own").probe(text) == "my own"

    def test_the_probe_is_64_characters_at_most(self):
        probe = default_experiment().replace(training=Training(seq_len=200)).probe()
        assert len(probe) == 65
        assert probe[0].isupper()

    def test_a_text_without_lines_has_a_probe_too(self):
        text = Corpus("flat", "abcdefghij" * 100, "No newline.", "abc")
        assert Experiment().probe(text) == text.text[900:965]

    def test_a_line_too_near_the_end_is_not_taken(self):
        text = Corpus("late", "abcdefghij" * 98 + "klmno\nabcdefghij", "One newline.", "abc")
        assert Experiment().probe(text) == text.text[896 : 896 + 65]


class TestProblems:
    def test_none_by_default(self):
        assert Experiment().problems() == []
        Experiment().check()

    def test_those_of_the_parts_under_their_full_names(self):
        experiment = Experiment(architecture=Architecture(num_heads=3), training=Training(batch_size=2, shards=4))
        heads, shards = experiment.problems()
        assert (heads.knob, heads.fix) == ("architecture.num_heads", {"architecture.num_heads": 2})
        assert (shards.knob, shards.fix) == ("training.shards", {"training.shards": 2})
        with pytest.raises(SettingsError, match="architecture.num_heads = 3 does not fit") as caught:
            experiment.check()
        assert caught.value.problems == [heads, shards]
        assert "set training.shards to 2" in str(caught.value)

    def test_an_unknown_corpus(self):
        problem = only(Experiment(corpus="storys").problems())
        assert (problem.knob, problem.fix) == ("corpus", {"corpus": "stories"})
        assert "Did you mean 'stories'?" in problem.message

    def test_a_corpus_that_needs_the_network_is_not_fetched(self, monkeypatch):
        monkeypatch.setattr("pooch.retrieve", lambda *arguments, **keywords: pytest.fail("fetched"))
        assert Experiment(corpus="tiny-shakespeare").problems() == []

    def test_a_context_longer_than_the_learned_table(self):
        experiment = Experiment(architecture=Architecture(pos_encoding_type="Learned", max_seq_len=32))
        problem = only(experiment.problems())
        assert (problem.knob, problem.value) == ("training.seq_len", 64)
        assert problem.fix == {"architecture.max_seq_len": 64}
        fixed = experiment.replace(architecture=experiment.architecture.replace(max_seq_len=64))
        assert fixed.problems() == []
        for other in ("RoPE", "ALiBi", "Sinusoidal", "None"):
            assert Experiment(architecture=Architecture(pos_encoding_type=other, max_seq_len=32)).problems() == []

    def test_a_probe_longer_than_the_learned_table(self):
        architecture = Architecture(pos_encoding_type="Learned", max_seq_len=64)
        assert Experiment(architecture=architecture, probe_text="x" * 65).problems() == []
        experiment = Experiment(architecture=architecture, probe_text="x" * 66)
        problem = only(experiment.problems())
        assert problem.knob == "probe_text"
        assert experiment.replace(**problem.fix).problems() == []

    @pytest.mark.parametrize("probe_text", ["a", "ab"])
    def test_a_probe_that_is_too_short(self, probe_text):
        problem = only(Experiment(probe_text=probe_text).problems())
        assert (problem.knob, problem.fix) == ("probe_text", {"probe_text": ""})
        assert "at least 3 characters" in problem.message

    def test_characters_that_the_corpus_lacks(self):
        experiment = Experiment(prompt="abcX", probe_text="abc?!")
        assert experiment.problems() == []
        probe, prompt = experiment.problems(SMALL)
        assert (probe.knob, probe.fix) == ("probe_text", {"probe_text": ""})
        assert "'?', '!' never comes up in 'small'" in probe.message
        assert (prompt.knob, prompt.fix) == ("prompt", {"prompt": ""})
        assert "'X' never comes up in 'small', so the model can't read it" in prompt.message
        with pytest.raises(SettingsError, match="never comes up"):
            experiment.check(SMALL)

    def test_a_text_that_is_too_short_for_the_context(self):
        experiment = Experiment(training=Training(seq_len=180))  # a tenth of 1800 characters is 180: one too few
        problem = only(experiment.problems(SMALL))
        assert problem.knob == "training.seq_len"
        assert "has 180, and each piece needs one more than the context" in problem.message
        assert problem.fix == {"training.seq_len": 179}
        assert experiment.replace(training=Training(seq_len=179)).problems(SMALL) == []


class TestDefault:
    def test_it_is_the_small_modern_transformer_of_the_first_page(self):
        experiment = default_experiment()
        architecture, training = experiment.architecture, experiment.training
        assert (architecture.num_layers, architecture.hidden_dim, architecture.num_heads) == (4, 128, 4)
        assert (architecture.norm_type, architecture.residual_type) == ("RMSNorm", "Pre-LN")
        assert (architecture.activation_type, architecture.ff_dim) == ("SwiGLU", 320)
        assert architecture.pos_encoding_type == "RoPE"
        assert (training.optimizer, training.learning_rate, training.warmup_steps) == ("AdamW", 2e-3, 50)
        assert (training.batch_size, training.seq_len) == (8, 64)

    def test_it_goes_together_and_begins_with_one_day(self):
        experiment = default_experiment()
        assert experiment.problems(corpus("stories")) == []
        assert experiment.resolved().prompt == "One day "

    def test_each_call_makes_its_own(self):
        default_experiment().architecture.num_layers = 9
        assert default_experiment().architecture.num_layers == 4
