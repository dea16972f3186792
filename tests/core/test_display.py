"""What settings, models and runs show of themselves: a line by `repr`, text by `print`, harmless HTML in a notebook."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from IPython.lib.pretty import pretty

from tests.core.saved_runs import tiny_experiment
from tlab_core import Architecture, Experiment, LiveRun, Trainer, Training, Transformer, default_experiment
from tlab_core.display import Described
from tlab_core.display.description import Description, Row, Table
from tlab_core.divergence import Divergence
from tlab_core.runs import RunStore

HOSTILE = '"><script>alert(1)</script>&<img src=x onerror=alert(2)>\x1b[2J\u202e\ud800\n'
ALLOWED = {"div", "span", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}


class Outline(HTMLParser):
    """The tags of a page, its attributes, its words, and whether each tag that opens closes."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = set(), set(), [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def check_html(shown):
    """Check that something's HTML is well formed and harmless, has what its text has, and return its words."""
    html = shown._repr_html_()
    outline = Outline(html)
    assert outline.open == []
    assert outline.tags <= ALLOWED
    assert outline.attributes <= {"style", "title", "colspan"}
    assert not re.search(r"url\(|position:|#[0-9a-fA-F]{3}|(?<!-)color:", html.partition("<div>")[0])
    html.encode("utf-8")
    words = " ".join(outline.words)
    for word in str(shown).split():
        assert word.strip("(*)") in words, word
    return words


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has learned for 25 steps, with a changed setting, a text and an analysis."""
    run = LiveRun(tiny_experiment(tmp_path_factory.mktemp("text")))
    run.advance(steps=20)
    run.adjust(learning_rate=0.005)
    run.advance(steps=5)
    run.sample("the ", 10)
    run.analyse("weights", parameter="token_embedding.weight")
    return run


# ---- one line


@pytest.mark.parametrize("settings", [
    Architecture(), Architecture(num_layers=6, norm_type="LayerNorm"), Architecture(norm_type=None, ff_dim=100, seed=3),
    Training(optimizer="SGD", grad_clip=None, min_learning_rate=1e-5), default_experiment(),
    Experiment(corpus=HOSTILE, probe_text="'\"\\", architecture=Architecture(qk_norm=True)),
], ids=lambda settings: repr(settings)[:30])  # fmt: skip
def test_a_line_of_settings_is_the_code_that_makes_them(settings):
    line = repr(settings)
    assert "\n" not in line
    assert eval(line, {"Architecture": Architecture, "Training": Training, "Experiment": Experiment}) == settings


def test_a_line_names_what_differs_and_nothing_else():
    assert repr(Architecture(num_layers=6, norm_type="layernorm")) == "Architecture(num_layers=6, norm_type='LayerNorm')"
    assert repr(Training()) == "Training()"
    assert repr(Experiment(training=Training(steps=7))) == "Experiment(training=Training(steps=7))"


def test_what_is_in_a_list_takes_one_line(run):
    shown = [run, run.model, run.trainer, run.recorder, run.experiment.architecture]
    for one in shown:
        assert "\n" not in repr(one)
        assert pretty(one) == str(one)
        assert "\n" in str(one)
        assert pretty([one]) == f"[{one!r}]"
    assert repr(run).startswith(f"<LiveRun on 'story.txt' at step 25, loss {run.recent_loss:.2f}: 1 layer × 8, 2 heads,")
    assert repr(run.trainer).startswith("<Trainer at step 25 of 60: <Transformer: 1 layer × 8,")
    assert repr(run.recorder) == "<History: 10 groups, up to step 25>"


# ---- settings


def test_settings_are_grouped_with_units_and_what_was_turned_is_marked():
    lines = str(Architecture(num_layers=6, norm_type=None)).splitlines()
    assert lines[0] == "Architecture: 2 of 16 knobs not at their defaults (*)"
    assert [line for line in lines if line in ("Size", "Wiring", "Start", "More")] == ["Size", "Wiring", "Start"]
    marked = [re.split(r"\s{2,}|(?<=\*) ", line) for line in lines if line.startswith("*")]
    assert marked == [["*", "num_layers", "6 layers", "default 4"], ["*", "norm_type", "None", "default RMSNorm"]]
    assert "  ff_dim             None            344 units: 8/3 × hidden_dim" in lines


@pytest.mark.parametrize("kind", [Architecture, Training, Experiment])
def test_every_knob_is_shown_once(kind):
    names = [line[2:].split()[0] for line in str(kind()).splitlines() if line.startswith("  ")]
    parts = [Architecture, Training, Experiment] if kind is Experiment else [kind]
    wanted = [knob for part in parts for knob in part.knobs() if knob not in ("architecture", "training")]
    assert sorted(names) == sorted(wanted)
    assert f"all {len(wanted)} knobs at their defaults" in str(kind())


def test_a_knob_of_ones_own_kind_of_settings_is_shown_too():
    class Wider(Architecture):
        pass

    Wider.param.add_parameter("extra", type(Architecture.param["seed"])(3, unit="things", doc="Something more."))
    assert "More\n  extra              3 things" in str(Wider())


def test_what_does_not_go_together_is_said_first():
    shown = Architecture(num_heads=3)
    assert str(shown).splitlines()[1] == shown.problems()[0].message
    assert "num_heads to 2" in check_html(shown)


def test_what_the_optimizer_has_no_use_for_is_said():
    assert re.search(r"\n  beta1 +0\.9 +SGD has no use for it\n", str(Training(optimizer="SGD")))


# ---- models


@pytest.mark.parametrize("knobs", [
    {}, {"residual_type": "Sandwich", "norm_type": "LayerNorm", "pos_encoding_type": "Learned", "tie_embeddings": False},
    {"norm_type": "None", "pos_encoding_type": "None", "activation_type": "ReLU", "use_bias": False, "qk_norm": True},
])  # fmt: skip
def test_a_model_says_where_its_parameters_are(knobs):
    model = Transformer(vocab_size=11, hidden_dim=8, num_layers=3, num_heads=2, max_seq_len=16, **knobs)
    by_part, every = (table for table in model.describe().tables if table.columns)
    assert sum(int(row.cells[2].replace(",", "")) for row in by_part.rows[:-1]) == model.parameter_count
    assert by_part.rows[-1].cells == ("total", "", f"{model.parameter_count:,}", "100.0 %")
    shares = [float(row.cells[3].split()[0]) for row in by_part.rows[:-1]]
    assert sum(shares) == pytest.approx(100, abs=0.05 * len(shares))
    names = {re.sub(r"^blocks\.\d+\.", "blocks.*.", name) for name in model.parameters}
    assert {row.cells[0] for row in every.rows} == names
    assert sum(int(row.cells[3].replace(",", "")) for row in every.rows) == model.parameter_count
    for knob in ("residual_type", "norm_type", "activation_type", "pos_encoding_type"):
        assert f"{knob}" in str(model)
        assert getattr(model.architecture, knob) in str(model)
    assert "Every array" not in str(model)
    assert "Every array" in check_html(model)


def test_shapes_stand_beside_their_part():
    shown = str(Transformer(vocab_size=11, hidden_dim=8, num_layers=3, num_heads=2, use_bias=False))
    assert "attention        3 × qkv (8, 24), out (8, 8) " in shown
    assert "feed-forward     3 × gate and up (8, 24), down (24, 8) " in shown


# ---- runs


def test_a_run_tells_where_its_loss_stands(run):
    losses = run.describe().tables[0]
    values = [float(row.cells[1]) for row in losses.rows]
    assert values == sorted(values, reverse=True)
    assert len(losses.rows) == 5
    told = {row.cells[0]: row for row in losses.rows}
    assert told["training text"].cells[1:] == (f"{run.recent_loss:.3f}", "mean of the last 20 steps")
    assert told["unseen text"].cells[1:] == (f"{run.recorder.group('validation')['loss'][-1].item():.3f}", "at step 20")
    assert told["letter pairs alone"].cells[1] == f"{run.baselines['bigram']:.3f}"
    assert {name for name, row in told.items() if row.marked} == {"training text", "unseen text"}


def test_a_run_tells_what_differs_what_changed_and_what_was_measured(run):
    shown = str(run)
    assert shown.startswith("LiveRun on 'story.txt', step 25 of 60\n1 layer × 8, 2 heads,")
    assert re.search(r"\n  architecture\.hidden_dim +8 +default 128\n", shown)
    assert "vocab_size" not in shown  # the text decides it
    assert "step 20  training.learning_rate  0.01 became 0.005" in shown
    assert re.search(r"\n +25  1 to 25  train\n", shown)
    assert re.search(r"\n +6  0 to 25  residual, layers, ", shown)
    assert "wrote at step 25  'the " in shown
    assert "analyses          weights" in shown
    assert "training text" in check_html(run)


def test_before_the_first_step_there_is_no_training_loss(tmp_path):
    run = LiveRun(tiny_experiment(tmp_path))
    assert "training text" not in str(run)
    assert "unseen text" in str(run)
    trainer = Trainer(Transformer(vocab_size=5, hidden_dim=8, num_layers=1, num_heads=2), np.arange(400) % 5,
                      Training(batch_size=4, seq_len=8))  # fmt: skip
    assert "nothing measured yet" in str(trainer)
    assert trainer.recorder.last_step("parameters") is None  # showing it measured nothing
    assert repr(trainer.recorder) == "<History: 10 groups, nothing recorded yet>"


def test_a_run_that_broke_says_so(run):
    run.divergence = Divergence(26, 0, "blocks.0.scores", "infinite number")
    try:
        assert run.divergence.message in str(run)
        assert run.divergence.message in check_html(run)
    finally:
        run.divergence = None


def test_a_history_lists_its_groups(run):
    assert re.search(r"\n  attention +6  0 to 25  layer 1 × head 2 × query 8 × key 8 +weight\n", str(run.recorder))
    assert "validation" in check_html(run.recorder)
    assert "answer_accuracy" in check_html(run.recorder)


def test_a_trainer_tells_its_data_and_losses(run):
    data = run.trainer.data
    assert f"{len(data.training):,} tokens to train on, {len(data.validation):,} held back" in str(run.trainer)
    assert f"training text  {run.recent_loss:.3f}" in str(run.trainer)
    check_html(run.trainer)


# ---- what others wrote


@pytest.mark.parametrize("shown", [
    Experiment(corpus=HOSTILE, probe_text=HOSTILE, prompt=HOSTILE),
    Experiment(corpus="own:" + HOSTILE),
], ids=["texts", "own"])  # fmt: skip
def test_words_of_others_are_words(shown):
    assert "<script>alert(1)</script>" in check_html(shown)
    assert not re.search("[\x1b\u202e\ud800]", str(shown))
    assert not re.search("[\x1b\u202e\ud800]|<script|<img", shown._repr_html_())


def test_a_saved_run_tells_where_it_is_kept_and_its_note_is_only_words(run, tmp_path):
    store = RunStore(tmp_path / "runs")
    with store.create(run, "first"):
        pass
    store.annotate("first", tags=["<b>"], note=HOSTILE)
    saved = store.open("first")
    assert repr(saved).startswith(f"<SavedRun 'first' on 'story.txt' at step 25, loss {run.recent_loss:.2f}: ")
    shown = str(saved)
    assert str(run).partition("\n")[2].partition("\n\nBeside")[0].replace("auto", "") in shown.replace("auto", "")
    assert f"folder   {saved.folder}" in shown
    assert "<script>alert(1)</script>" in check_html(saved)
    assert "<b>" in check_html(saved)
    assert not re.search("[\x1b\u202e\ud800]|<script|<img|<b>", saved._repr_html_())
    assert "attention" in check_html(saved.recorder)


def test_a_damaged_run_says_what_is_lost_instead_of_breaking_a_cell(run, tmp_path):
    store = RunStore(tmp_path / "runs")
    with store.create(run, "first"):
        pass
    (tmp_path / "runs" / "first" / "history.zarr" / "train" / "loss" / "zarr.json").write_text("{")
    saved = store.open("first")
    assert "loss" in str(saved).splitlines()[1]
    assert "folder" in check_html(saved)


# ---- drawing


def test_wide_characters_and_numbers_are_aligned():
    table = Table("T", (Row(("日本", "1", "x")), Row(("abcdef", "1,000", "y"))), right=(1,))
    assert Description("A", tables=(table,)).text() == "A\n\nT\n  日本        1  x\n  abcdef  1,000  y"


def test_only_what_is_marked_needs_a_legend():
    plain, marked = (Table("T", (Row(("a",), marked=mark),), legend="odd") for mark in (False, True))
    assert "odd" not in Description("A", tables=(plain,)).text() + Description("A", tables=(plain,)).html()
    assert "T    (* odd)\n* a" in Description("A", tables=(marked,)).text()
    assert "* odd" in Description("A", tables=(marked,)).html()


def test_a_process_that_trains_loads_no_drawing():
    loaded = "import sys, tlab_core.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=60)
    modules = set(done.stdout.split())
    assert "tlab_core.display" in modules
    drawing = {f"tlab_core.display.{name}" for name in ("description", "settings", "model", "runs")}
    assert not modules & {"rich", "html", "IPython", *drawing}


def test_what_describes_itself_has_to_say_how():
    for show in (str, repr):
        with pytest.raises(NotImplementedError):
            show(Described())
