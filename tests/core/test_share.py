"""Links, scripts and files carry an experiment whole, and a bad or hostile link is refused in words."""

import ast
import json
from urllib.parse import parse_qs

import numpy as np
import pytest
from safetensors import safe_open

from tests.core.saved_runs import tiny_experiment
from tlab_core import Architecture, Experiment, LiveRun, Training, default_experiment
from tlab_core.knob_text import flat, full_names, with_values
from tlab_core.knobs import BooleanKnob, ChoiceKnob, CountOrAutoKnob, IntegerKnob, NumberKnob
from tlab_core.runs.settings_file import read_settings
from tlab_core.share import ShareError, as_python, as_safetensors, as_yaml, from_query, shared, to_query

HOSTILE = "</script>\"'`$(rm -rf .)\\\n\t\0é🙂&v=9#?%00+"


def other_values():
    """Yield (full name, a value that is not what the lab opens with) for every knob that a link can hold."""
    default = default_experiment()
    for full in full_names():
        part, _, name = full.rpartition(".")
        knob, value = (getattr(default, part) if part else default).param[name], flat(default)[full]
        if full == "architecture.vocab_size":
            continue
        if full == "corpus":
            yield full, "induction"
        elif isinstance(knob, CountOrAutoKnob):
            yield full, 3
        elif isinstance(knob, ChoiceKnob):
            yield full, next(option for option in knob.names() if option != value)
        elif isinstance(knob, BooleanKnob):
            yield full, not value
        elif isinstance(knob, IntegerKnob):
            yield full, 2 * (value or 4)
        elif isinstance(knob, NumberKnob):
            yield full, 1.25e-05 if value is None else value / 3 + 1e-7
        else:
            yield full, f"One {HOSTILE}"


@pytest.mark.parametrize(("full", "value"), list(other_values()), ids=[full for full, _ in other_values()])
def test_a_link_carries_each_knob_and_names_no_other(full, value):
    experiment = with_values(default_experiment(), {full: value})
    query = to_query(experiment)
    part, _, name = full.rpartition(".")
    assert set(parse_qs(query, keep_blank_values=True)) == {f"{part[:1]}.{name}".lstrip("."), "v"}
    assert from_query(query) == experiment


def test_all_knobs_at_once_survive():
    experiment = with_values(default_experiment(), dict(other_values()))
    assert from_query(to_query(experiment)) == experiment


def test_a_link_is_short_and_always_the_same():
    experiment = default_experiment()
    assert to_query(experiment) == "v=1"
    changed = with_values(experiment, {"corpus": "tiny-shakespeare", "training.learning_rate": 0.001,
                                       "training.grad_clip": None, "architecture.num_layers": 8,
                                       "architecture.tie_embeddings": False})  # fmt: skip
    expected = "a.num_layers=8&a.tie_embeddings=false&t.learning_rate=0.001&t.grad_clip=none&corpus=tiny-shakespeare&v=1"
    assert to_query(changed) == expected


def test_what_the_corpus_decides_is_left_out():
    experiment = with_values(default_experiment(), {"corpus": "induction"})
    assert to_query(experiment.resolved()) == to_query(experiment) == "corpus=induction&v=1"
    assert "prompt=abc" in to_query(experiment.resolved().replace(prompt="abc"))


@pytest.mark.parametrize("link", [
    "a.num_layers=8&v=1", "?a.num_layers=8&v=1", "http://localhost:5006/lab?a.num_layers=8&v=1", "num_layers=8",
    "https://example.org/lab?theme=dark&architecture.num_layers=8&v=1#top", "a.num_layers=8&theme=%3Cscript%3E",
])  # fmt: skip
def test_a_whole_address_a_query_and_full_names_are_read_and_the_page_keeps_its_own(link):
    assert from_query(link) == with_values(default_experiment(), {"architecture.num_layers": 8})


@pytest.mark.parametrize("link", ["", "?", "http://localhost:5006/lab?", "http://colleague:5006/lab?#here", "v=1"])
def test_an_address_without_settings_is_the_first_experiment(link):
    assert from_query(link) == default_experiment()


@pytest.mark.parametrize(("link", "message"), [
    ("a.num_layer=8", "no knob 'a.num_layer'. Did you mean 'num_layers'"),
    ("t.lerning_rate=1", "Did you mean 'learning_rate'"),
    ("x.y.z=1", "no knob 'x.y.z'"),
    ("__class__=1", "no knob '__class__'"),
    ("a.__class__=1", "no knob 'a.__class__'"),
    ("architecture=1", "no knob 'architecture'"),
    ("seed=1", "more than one knob 'seed': write architecture.seed or training.seed"),
    ("a.num_layers=eight", "“Layers” (a.num_layers) can't be used: num_layers = 'eight' is not allowed"),
    ("a.num_layers=8.5", "num_layers = 8.5 is not allowed"),
    ("a.num_layers=", "num_layers = '' is not allowed"),
    ("a.num_layers=none", "num_layers = None is not allowed"),
    ("a.num_layers=0", "of at least 1 and at most 128"),
    ("a.num_layers=" + "9" * 5000, "is not allowed"),
    ("a.num_layers=٣", "is not allowed"),
    ("a.norm_type=RMSNrom", "Did you mean 'RMSNorm'"),
    ("a.use_bias=perhaps", "it must be True or False"),
    ("t.learning_rate=nan", "must be a number above 0"),
    ("t.learning_rate=1e999", "must be a number above 0"),
    ("t.learning_rate=-1", "must be a number above 0"),
    ("t.learning_rate=0x10", "must be a number above 0"),
    ("a.num_heads=3", "To fix it, set architecture.num_heads to 2"),
    ("a.num_layers=8&a.num_layers=8", "names 'a.num_layers' twice"),
    ("a.num_layers=8&num_layers=9", "names “Layers” (a.num_layers) twice"),
    ("a.num_layers", "cut off"),
    ("a.num_layers=8&&", "cut off"),
    ("corpus=%ff%fe", "can't be read"),
    ("prompt=\ud800", "can't be read"),
    ("&".join(f"x{i}=1" for i in range(500)), "can't be read"),
    ("corpus=" + "x" * 30_000, "too long"),
    ("v=2", "newer version of the lab"),
    ("v=999999999999", "should be a number"),
    ("v=-1", "should be a number"),
    ("v=one", "should be a number"),
    ("v=", "should be a number"),
    ("v=1&v=1", "names 'v' twice"),
    ("corpus=storys", "Did you mean 'stories'"),
    ("a.vocab_size=9", "which the text decides: leave it out"),
    ("a.num_layers=100000000000000000000", "num_layers = 100000000000000000000 is not allowed"),
    ("file:///home/lab.html?a.num_layers=2", "begins with 'file://', and the address of a lab's page begins with http://"),
    ("javascript://x?a.num_layers=2", "begins with 'javascript://'"),
    ("http://localhost:5006/lab", "has no settings: they would stand behind a question mark. Nothing is fetched"),
    ("https://example.org/" + "x" * 5000, "xxx... has no settings"),
    ("corpus=/etc/passwd", "which a link can't open"),
    ("corpus=../../etc/passwd", "which a link can't open"),
    ("corpus=~/.ssh/id_rsa", "which a link can't open"),
    ("a.hidden_dim=16384&a.num_layers=128&a.num_heads=128", "larger than a link may"),
    ("probe_text=" + "a" * 19_000, "larger than a link may"),
    ("t.batch_size=4096&t.gradient_accumulation_steps=1024", "take minutes each"),
], ids=lambda text: ascii(text[:40]))  # fmt: skip
def test_a_bad_or_hostile_link_is_refused_in_words(link, message):
    with pytest.raises(ShareError) as refused:
        from_query(link)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 1500


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ShareError) as refused:
        from_query("a.num_layer=8&t.learning_rate=-1&corpus=storys&a.num_heads=3")
    error = refused.value
    assert len(error.faults) == 4
    lines = str(error).split("\n")
    assert lines[0] == "4 things are wrong with the link:"
    for line, words in zip(lines[1:], ["Did you mean 'num_layers'", "must be a number above 0", "Did you mean 'stories'",
                                       "To fix it, set architecture.num_heads to 2"], strict=True):  # fmt: skip
        assert line.startswith("- The link")
        assert words in line
    assert [problem.fix for problem in error.problems] == [{"architecture.num_heads": 2}]


def test_what_is_left_of_a_part_is_not_blamed_for_what_could_not_be_read():
    with pytest.raises(ShareError) as refused:
        from_query("a.hidden_dim=wide&a.num_heads=3")  # 3 heads may well share the width that was meant
    assert refused.value.faults == [str(refused.value)]
    assert "num_heads" not in str(refused.value)


def test_a_link_that_is_no_link_at_all_is_told_of_in_a_few_lines():
    with pytest.raises(ShareError) as refused:
        from_query("&".join(f"x{i}=1" for i in range(150)))
    assert len(refused.value.faults) == 150
    assert str(refused.value).endswith("- and 145 more.")
    assert len(str(refused.value)) < 1500


def test_what_does_not_go_together_comes_with_its_fix():
    with pytest.raises(ShareError) as refused:
        from_query("a.num_heads=3")
    assert refused.value.problems[0].fix == {"architecture.num_heads": 2}


def test_a_link_opens_a_file_only_for_its_owner(tmp_path):
    experiment = tiny_experiment(tmp_path)
    query = to_query(experiment)
    with pytest.raises(ShareError, match="can't open") as refused:
        from_query(query)
    assert STORY_START not in str(refused.value)
    assert from_query(query, files=True) == experiment
    assert from_query(query, text=experiment.corpus) == experiment
    with pytest.raises(ShareError, match=r"A file is opened where you name it yourself: --set corpus=PATH"):
        from_query(query, limits=False)


def test_whoever_types_a_link_is_not_held_to_what_a_server_bears():
    link = "t.batch_size=4096&t.gradient_accumulation_steps=1024&v=1"
    assert from_query(link, limits=False).training.batch_size == 4096


STORY_START = "the cat sat"


def test_the_largest_model_of_the_page_is_not_too_large_for_a_link():
    experiment = with_values(default_experiment(), {
        "architecture.num_layers": 12, "architecture.hidden_dim": 512, "architecture.num_heads": 16,
        "architecture.ff_dim": 2048, "training.seq_len": 256, "training.batch_size": 64,
        "training.gradient_accumulation_steps": 8, "architecture.max_seq_len": 512,
    })  # fmt: skip
    assert from_query(to_query(experiment)) == experiment


def test_the_python_makes_the_same_run(tmp_path, capsys):
    experiment = tiny_experiment(tmp_path, steps=12, optimizer="Lion", grad_clip=None)
    run = LiveRun(experiment)
    run.advance(until=12)
    names: dict = {}
    exec(compile(as_python(run.experiment), "script", "exec"), names)
    assert np.array_equal(names["run"].model.flat, run.model.flat)
    assert names["run"].experiment == run.experiment
    assert capsys.readouterr().out == run.sample(run.experiment.prompt, 200).text + "\n"


def test_the_python_makes_the_changes_that_were_made_on_the_way(tmp_path, capsys):
    experiment = tiny_experiment(tmp_path, steps=9)
    run = LiveRun(experiment)
    run.advance(steps=3)
    run.adjust(learning_rate=0.0005)
    run.advance(steps=2)
    run.adjust(learning_rate=0.004, weight_decay=0.3)
    run.advance(until=9)
    names = {}
    exec(compile(as_python(run.experiment, run.marks), "script", "exec"), names)
    assert np.array_equal(names["run"].model.flat, run.model.flat)
    assert names["run"].experiment == run.experiment
    assert names["run"].marks == run.marks


def test_the_python_is_calls_and_literals_whatever_the_texts_say():
    texts = {"probe_text": f'""")\nimport os\n{HOSTILE}', "prompt": "'); print(1); ('", "corpus": "a'b\"c"}
    experiment = default_experiment().replace(**texts)
    tree = ast.parse(as_python(experiment))
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert set(texts.values()) <= literals
    assert [type(node).__name__ for node in tree.body] == ["ImportFrom", "Assign", "Assign", "Expr", "Expr"]


def test_the_python_names_what_differs_from_the_classes_and_the_text():
    text = as_python(Experiment(architecture=Architecture(num_layers=7), training=Training(learning_rate=0.002)))
    assert "architecture=Architecture(\n        num_layers=7,\n    )" in text
    assert "training=Training(\n        learning_rate=0.002,\n    )" in text
    assert "corpus='stories'" in text
    assert text.count("=") == 9


def test_the_yaml_is_a_settings_file(tmp_path):
    experiment = with_values(default_experiment(), dict(other_values()) | {"prompt": "One", "probe_text": "day after day"})
    path = tmp_path / "settings.yaml"
    path.write_text(as_yaml(experiment), encoding="utf-8")
    assert read_settings(path) == experiment


def test_the_weights_say_what_they_are_weights_of(tmp_path):
    run = LiveRun(tiny_experiment(tmp_path))
    path = tmp_path / "model.safetensors"
    path.write_bytes(as_safetensors(run.model, run.experiment, run.tokenizer))
    with safe_open(path, "np") as file:
        about = file.metadata()
        assert set(file.keys()) == set(run.model.parameters)
        assert all(np.array_equal(file.get_tensor(name), values) for name, values in run.model.parameters.items())
    assert Experiment.from_dict(json.loads(about["settings"])) == run.experiment
    assert json.loads(about["characters"]) == run.tokenizer.characters


def test_what_is_shared_of_a_resolved_experiment_resolves_to_it_again():
    resolved = with_values(default_experiment(), {"corpus": "addition"}).resolved()
    assert shared(resolved).resolved() == resolved
