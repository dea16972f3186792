"""A run is opened, or settings are read, where a component that they name is missing."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.core.cli_runs import call, call_json
from tests.core.extensions import NORM, install
from tests.core.saved_runs import tiny_experiment
from tlab_core import Architecture, LiveRun, Transformer, default_experiment
from tlab_core.absent import Absent, in_a_row, messages
from tlab_core.corpora import CORPORA, Corpus, CorpusError, corpus
from tlab_core.cost import estimate
from tlab_core.extensions import origin
from tlab_core.norms import NORMS, RMSNorm
from tlab_core.parameters import Parameter
from tlab_core.registry import AbsentError, UnknownNameError
from tlab_core.runs import RunError, RunStore
from tlab_core.settings import SettingsError
from tlab_core.share import ShareError, from_query, to_query


@pytest.fixture
def peak(tmp_path, monkeypatch):
    """The norm of an installed package, which `peak.uninstall()` takes away again."""
    folder = install(tmp_path / "site", norms=NORM)
    monkeypatch.syspath_prepend(str(folder))
    before = NORMS.so_far()
    module = __import__("peak_lab.norms").norms
    yield SimpleNamespace(module=module, uninstall=lambda: (NORMS.restore(before), sys.path.remove(str(folder))))
    NORMS.restore(before)
    for name in ("peak_lab", "peak_lab.norms"):
        sys.modules.pop(name, None)


@pytest.fixture
def kept(peak, tmp_path):
    """A run of that norm in a folder, 10 steps long, and the norm gone."""
    experiment = tiny_experiment(tmp_path)
    experiment = experiment.replace(architecture=experiment.architecture.replace(norm_type="Peak"))
    run, store = LiveRun(experiment), RunStore(tmp_path / "runs")
    writer = store.create(run, "it")
    run.advance(steps=10)
    writer.close()
    run.trainer.close()
    peak.uninstall()
    return store


WHERE = "norm 'Peak' (norm_type) is not here. It came from the module peak_lab.norms of the package peak-lab 1.2. " \
        "Install that package from where you had it, and start again."


def test_where_a_component_comes_from(peak):
    assert origin(peak.module.Peak) == {"module": "peak_lab.norms", "package": "peak-lab", "version": "1.2"}
    assert origin(RMSNorm) is None


def test_what_came_from_one_package_is_told_at_once():
    """And without a command: a package index has by that name whatever anyone has put there."""
    of = {"package": "scale-norm", "version": "0.1"}
    scale, mine, rhymes, ramp = (
        Absent("Scale", "norm", "norm_type", "scale.norms", **of), Absent("Own", "activation", "", "__main__"),
        Absent("rhymes", "corpus", "corpus", "scale.texts", **of), Absent("Ramp", "statistic", "", "ramps"),
    )  # fmt: skip
    found = messages([scale, mine, rhymes, ramp])
    assert found == [
        "the norm 'Scale' (norm_type) and the corpus 'rhymes' (corpus) are not here. They came from the package scale-norm "
        "0.1. Install that package from where you had it, and start again.", mine.message, ramp.message,
    ]  # fmt: skip
    assert in_a_row(found).count(". The ") == 2


def test_a_run_without_its_norm_can_be_looked_at(kept):
    (info,) = kept.list()
    assert (info.problem, info.remarks) == (None, ())
    saved = kept.open("it")
    assert saved.experiment.architecture.norm_type == "Peak"
    assert saved.remarks == []
    assert saved.missing == [f"the {WHERE}"]
    assert saved.recorder.group("train")["loss"].sizes == {"step": 10}
    assert np.isfinite(saved.recorder.group("residual")["rms"].values).all()
    assert "Peak  # from peak-lab 1.2, module peak_lab.norms\n" in (saved.folder / "settings.yaml").read_text()
    assert "norm_type" in str(saved.describe().text())


def test_it_neither_goes_on_nor_writes_and_says_how_to_get_the_norm(kept):
    with pytest.raises(RunError, match="^the run 'it' can't go on: ") as caught:
        kept.resume("it")
    assert WHERE in str(caught.value)
    with pytest.raises(RunError, match="^the model of the run 'it' can't be built: ") as caught:
        assert kept.open("it").model
    assert WHERE in str(caught.value)
    architecture = kept.open("it").experiment.architecture
    with pytest.raises(SettingsError) as caught:
        Transformer(architecture)
    assert str(caught.value) == f"The {WHERE.rstrip('.')}. Or else set norm_type to 'RMSNorm'."
    with pytest.raises(AbsentError, match="is not here"):
        NORMS.get(architecture.norm_type)
    assert NORMS.look(architecture.norm_type).measured is True
    with pytest.raises(RunError, match="can't go on"):  # and not that another process writes it: the folder was let go of
        kept.resume("it")


def test_on_the_command_line(kept):
    folder = ("--folder", kept.folder)
    assert "it" in call("runs", "list", *folder).output
    shown = call("runs", "show", "it", *folder)
    assert f"Note: the {WHERE}" in shown.stderr
    assert "norm_type = Peak" in shown.stdout
    assert call_json("runs", "show", "it", *folder)["missing"] == [f"the {WHERE}"]
    for command in (["resume", "it"], ["generate", "it"], ["export", "it", "--to", kept.folder / "w.safetensors"]):
        assert WHERE in call(*command, *folder, code=1).stderr
    for ending in ("py", "yaml", "csv"):
        call("export", "it", "--to", kept.folder / f"it.{ending}", *folder)
    called = call("train", "--config", kept.folder / "it.yaml", *folder, code=2).stderr
    assert "norm_type = 'Peak' is not allowed" in called
    assert "norm_type: Peak  # from peak-lab 1.2, module peak_lab.norms" in called
    assert "package installed" in called
    link = call("runs", "show", "it", "--link", *folder).stdout.strip()
    assert "a.norm_type=Peak" in link
    with pytest.raises(ShareError, match=r"“Norm” \(a\.norm_type\) can't be used: norm_type = 'Peak' is not allowed.*One "):
        from_query(link)


def test_once_it_is_here_again_the_run_goes_on(kept, peak):
    NORMS.register("Peak")(peak.module.Peak)
    run, writer, differences = kept.resume("it")
    assert differences == []
    run.advance(steps=2)
    writer.close()
    run.trainer.close()
    assert kept.open("it").missing == []
    assert kept.open("it").step == 12


def test_a_norm_out_of_a_notebook(kept):
    """What a run says of where its norm came from is shown, and could be anything; a command to run must not be."""
    commit = json.loads((kept.folder / "it" / "commit.json").read_text())
    about = commit["components"]["architecture.norm_type"]
    for changed, said in (
        ({"module": "__main__", "package": ""}, "It was defined in a notebook or a script. Run what defines it first"),
        ({"package": "x; rm -rf ~"}, "It came from the module peak_lab.norms. Import it first: `import peak_lab.norms`"),
        ({"module": "a b", "package": 7, "traits": {"measured": "yes"}}, "Where it came from was not written down."),
        ({"package": "numpy"}, "numpy is installed here and does not bring it"),
    ):
        commit["components"]["architecture.norm_type"] = about | changed
        (kept.folder / "it" / "commit.json").write_text(json.dumps(commit))
        assert said in kept.open("it").missing[0]
        assert NORMS.look(kept.open("it").experiment.architecture.norm_type).measured is True
    del commit["components"]
    (kept.folder / "it" / "commit.json").write_text(json.dumps(commit))
    assert "Where it came from was not written down. Define it, or import" in kept.open("it").missing[0]


def variant_of_peak(peak, **changed):
    """Define the norm once more, as a cell that was edited does, and let it take the place of the one before."""
    before = dict(vars(peak.module.Peak)) | changed
    made = type("Peak", peak.module.Peak.__bases__, {name: value for name, value in before.items() if name != "__dict__"})
    return NORMS.register("Peak")(made)


def test_a_run_that_goes_on_with_other_code_says_so(kept, peak):
    variant_of_peak(peak, __doc__="Other words.", __module__="peak_lab.norms")
    resumed = kept.resume("it")
    assert resumed.differences == []
    resumed.writer.close()

    def forward(self, x, work):
        return 0.9 * peak.module.Peak.forward(self, x, work)

    variant_of_peak(peak, forward=forward)
    resumed = kept.resume("it")
    resumed.writer.close(save=False)
    said = "The norm 'Peak' has other code here than when the run was saved"
    assert resumed.differences == [f"{said}, and makes the steps from 11 on."]
    variant_of_peak(peak, parameters=lambda self: {self.weight: Parameter((8,), constant=1.0), "more": Parameter((1,))})
    for ask in (lambda: kept.resume("it"), lambda: kept.open("it").model):
        with pytest.raises(RunError, match=r"'more' it has nothing, and they need float32 \(1,\)") as caught:
            ask()
        assert str(caught.value).endswith(f" {said}: bring back what it was, or begin a new run.")
    path = kept.folder / "it" / "commit.json"
    for codes in (None, {"architecture.norm_type": 7}, {"architecture.norm_type": "2.7:abc"}):  # of another Python
        path.write_text(json.dumps(json.loads(path.read_text()) | {"codes": codes}))
        assert kept.open("it").other_code == ""


def test_a_text_that_a_package_brought(tmp_path):
    before = CORPORA.so_far()

    @CORPORA.register("pangrams")
    def pangrams():
        """Short sentences with every letter."""
        return Corpus("pangrams", "the quick brown fox jumps over the lazy dog\n" * 60, "", "the ")

    run = LiveRun(tiny_experiment(tmp_path).replace(corpus="pangrams", prompt="", probe_text=""))
    store = RunStore(tmp_path / "runs")
    store.create(run, "it").close()
    run.trainer.close()
    CORPORA.restore(before)
    (said,) = store.open("it").missing
    assert said.startswith(f"the corpus 'pangrams' (corpus) is not here. It came from the module {__name__}.")
    with pytest.raises(RunError, match="can't go on: the corpus 'pangrams'"):
        store.resume("it")


def test_a_corpus_that_is_no_corpus_is_refused():
    before = CORPORA.so_far()
    CORPORA.register("letters")(lambda: "abc " * 200)
    with pytest.raises(CorpusError, match="the corpus 'letters' came to str: its function must return a Corpus, such as"):
        corpus("letters")
    CORPORA.restore(before)


def test_settings_that_name_something_missing_have_a_problem_and_a_fix():
    absent = Absent("MyNorm", kind="norm", knob="norm_type", module="mine")
    architecture = Architecture(norm_type=absent, hidden_dim=32)
    assert architecture.replace(num_layers=3).norm_type is absent
    (problem,) = architecture.problems()
    assert problem.fix == {"norm_type": "RMSNorm"}
    assert architecture.replace(**problem.fix).problems() == []
    with pytest.raises(UnknownNameError, match="the norm 'MyNorm'"):
        estimate(tiny_with(architecture))
    assert to_query(tiny_with(architecture)).startswith("a.hidden_dim=32")


def tiny_with(architecture):
    return default_experiment().replace(architecture=architecture)
