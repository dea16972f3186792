"""Components of one's own: registered, registered again, brought by packages, and missing where a run is opened."""

import json
import os
import re
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

from tests.core.cli_runs import call, call_json
from tests.core.extensions import NORM, PeakNorm, install, run_python
from tests.core.saved_runs import tiny_experiment
from tests.core.tiny_runs import model_of, trainer_of
from tlab_core import Architecture, LiveRun, Transformer, default_experiment
from tlab_core.absent import Absent, in_a_row, messages
from tlab_core.activations import ACTIVATIONS, Swish
from tlab_core.blame import in_words
from tlab_core.corpora import CORPORA, Corpus, CorpusError, corpus
from tlab_core.cost import estimate
from tlab_core.extensions import origin
from tlab_core.knobs import KnobError
from tlab_core.norms import NORMS, Norm, RMSNorm
from tlab_core.optimizers import OPTIMIZERS
from tlab_core.own_statistics import STATISTICS
from tlab_core.parameters import Parameter
from tlab_core.positions import POSITIONS
from tlab_core.registry import AbsentError, Registry, UnknownNameError
from tlab_core.residuals import RESIDUALS, ResidualLayout
from tlab_core.runs import RunError, RunStore
from tlab_core.schedules import SCHEDULES
from tlab_core.settings import SettingsError
from tlab_core.share import ShareError, from_query, to_query

# ---- registering


def cell(registry, name="Mine", module="__main__", qualname="Mine"):
    made = type("Mine", (), {"__module__": module, "__qualname__": qualname})
    registry.register(name)(made)
    return made


def test_a_cell_that_is_run_again_replaces_its_class_and_nobody_elses(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)  # not as in a notebook
    registry = Registry("shape")
    cell(registry, "First", qualname="First")
    cell(registry)
    cell(registry, "Last", qualname="Last")
    second = cell(registry)
    assert registry.get("Mine") is second
    assert registry.names()[-3:] == ["First", "Mine", "Last"]
    third = cell(registry, name="mine")
    assert (registry.get("MINE"), registry.names()[-2]) == (third, "mine")
    for other in ({"module": "elsewhere"}, {"qualname": "Other"}):
        with pytest.raises(ValueError, match=r"shape 'Mine' is registered already by __main__\.Mine: take another name"):
            cell(registry, **other)
    assert registry.get("mine") is third


def test_of_objects_that_do_not_say_where_they_are_defined_none_replaces_another():
    registry = Registry("shape")
    registry.register("One")(SimpleNamespace())
    with pytest.raises(ValueError, match="shape 'One' is registered already: take another name"):
        registry.register("One")(SimpleNamespace())


def test_a_list_that_is_being_read_does_not_change_under_its_reader():
    registry = Registry("shape")
    cell(registry)
    found = registry.items()
    cell(registry, "Later", qualname="Later")
    assert [name for name, _ in found] == ["Mine"]


def test_what_can_be_no_name_is_refused():
    for name in (7, None, "", " ", "My/Norm", "<b>x</b>", "x" * 61, "a\nb"):
        with pytest.raises(ValueError, match=r"is no name: it may have up to 60 letters, digits, spaces and \. _ \+ -"):
            NORMS.register(name)
    with pytest.raises(ValueError, match=r"a norm is registered under a name: write \.register\('PeakNorm'\)"):
        NORMS.register(PeakNorm)


def test_an_unknown_name_says_how_ones_own_gets_known():
    with pytest.raises(KnobError, match=r"norm_type = 'MyNorm' is not allowed.*One of your own has to be defined or "):
        Architecture(norm_type="MyNorm")


class Halfway(Norm):
    """Its other half is still to be written."""

    def forward(self, x, work):
        return x / 2


@pytest.mark.parametrize(("registry", "component", "said"), [
    (NORMS, abs, r"norm 'Mine': the function abs came, and a class is expected\. Derive one from Norm "
                 r"\(`from tlab_core\.extend import Norm`\) and write forward and backward\."),
    (NORMS, Swish, r"norm 'Mine': the class Swish does not derive from Norm\. Begin it with `class Swish\(Norm\):`"),
    (NORMS, Halfway, r"norm 'Mine': the class Halfway has no backward: write one, as Norm says\."),
    (NORMS, Halfway("norm", 4, True), r"norm 'Mine': an object of Halfway came, and a class is expected\."),
    (RESIDUALS, ResidualLayout, r"residual layout 'Mine': the class ResidualLayout has no forward and no backward: write"),
    (ACTIVATIONS, RMSNorm, r"activation 'Mine': the class RMSNorm does not derive from Activation\..* and write forward\."),
    (POSITIONS, int, r"position encoding 'Mine': the class int does not derive from PositionEncoding\. Begin it with"),
    (OPTIMIZERS, None, r"optimizer 'Mine': None came, and a class is expected\. Derive one from Optimizer \("),
    (STATISTICS, abs, r"statistic 'Mine': the function abs came, and a Statistic is expected\. Write @statistic above"),
    (SCHEDULES, callable, r"schedule 'Mine': the function callable with the arguments \(obj, /\) came, and a function of "
                          r"\(step, training\) that returns a learning rate is expected\."),
    (CORPORA, Corpus("abc", "abc", "", "a"), r"corpus 'Mine': an object of Corpus came, and a function without arguments "),
])
def test_what_is_no_such_component_is_refused_at_once(registry, component, said):
    """And not only when a model is built, by an error that doesn't say whose it is."""
    with pytest.raises(TypeError, match=said):
        registry.register("Mine")(component)
    assert "Mine" not in registry


def test_a_class_that_a_notebooks_cell_renames_takes_its_own_place(monkeypatch):
    registry = Registry("shape")
    cell(registry)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)  # as in a notebook
    renamed = cell(registry, qualname="Renamed")
    assert registry.get("Mine") is renamed
    cell(registry, "Imported", module="elsewhere")
    with pytest.raises(ValueError, match="'Imported' is registered already by elsewhere.Mine: take another name"):
        cell(registry, "Imported")


# ---- one that breaks in the middle of a model


class Crack(RMSNorm):
    def forward(self, x, work):
        return x / helper(0)


class Crooked(RMSNorm):
    def forward(self, x, work):
        return x.mean(axis=-1)


class Stuck(OPTIMIZERS.get("SGD")):
    def _update_block(self, *given):
        raise NotImplementedError


def helper(x):
    return 1 / x


@pytest.fixture
def breaking():
    before = NORMS.so_far(), OPTIMIZERS.so_far()
    NORMS.register("Crack")(Crack)
    NORMS.register("Crooked")(Crooked)
    OPTIMIZERS.register("Stuck")(Stuck)
    yield
    NORMS.restore(before[0])
    OPTIMIZERS.restore(before[1])


def blamed(norm: str = "RMSNorm", optimizer: str = "SGD") -> str:
    with pytest.raises((ArithmeticError, ValueError, NotImplementedError)) as caught:
        list(trainer_of(model=model_of(norm_type=norm), optimizer=optimizer).run(steps=1))
    (note,) = caught.value.__notes__
    assert note == in_words(caught.value)
    return note


def test_an_error_in_the_middle_of_a_model_says_whose_it_is(breaking):
    assert re.fullmatch(r"The norm 'Crack': ZeroDivisionError: division by zero, in forward, line \d+ of "
                        r"test_extending\.py\. `check_gradients\('Crack'\)` tries it alone\.", blamed("Crack"))  # fmt: skip
    said = blamed("Crooked")
    assert said.startswith("ValueError: matmul: ")
    assert "It happened with the norm 'Crooked', not the lab's own. `check_gradients('Crooked')` tries" in said
    assert re.fullmatch(r"The optimizer 'Stuck': NotImplementedError, in _update_block, line \d+ of test_extending\.py\.",
                        blamed(optimizer="Stuck"))  # fmt: skip
    with pytest.raises(ZeroDivisionError) as caught:
        Transformer(vocab_size=5).forward([[1]], trace=lambda name, x: helper(0))
    assert in_words(caught.value) == "division by zero"


# ---- packages


def test_the_lab_imports_no_extension_before_one_is_needed(tmp_path):
    """Importing all of the lab, and a run of its own components, must not look for any: packages can be slow to import."""
    install(tmp_path, norms="print('imported')\n" + NORM)
    script = """
        import tlab_dash, tlab_core.worker, tlab_core.cli.main
        from tlab_core import Architecture, Transformer
        from tlab_core.norms import NORMS
        Transformer(vocab_size=5, hidden_dim=8, num_layers=1, num_heads=2, norm_type="LayerNorm")
        print("Norms:", end=" ")
        assert Architecture(norm_type="peak").norm_type == "Peak"
        print(NORMS.names(), NORMS.names())
    """
    out = run_python(tmp_path, "-c", textwrap.dedent(script)).stdout
    assert out == "Norms: imported\n['LayerNorm', 'RMSNorm', 'None', 'Peak'] ['LayerNorm', 'RMSNorm', 'None', 'Peak']\n"


def test_an_extension_that_fails_gives_one_warning_and_leaves_nothing_half_done(tmp_path):
    broken = "from tlab_core.norms import *\nNORMS.register('Half')(type('Half', (RMSNorm,), {}))\nimport nowhere\n"
    install(tmp_path, norms=NORM, broken=broken, leaves="import sys\nsys.exit(3)\n")
    script = """
        import warnings
        from tlab_core.norms import NORMS
        from tlab_core.positions import POSITIONS
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            print(NORMS.names(), POSITIONS.names()[-1], NORMS.names()[-1])
        for warning in caught:
            print(warning.category.__name__, warning.message)
    """
    listed, *said = run_python(tmp_path, "-c", textwrap.dedent(script)).stdout.splitlines()
    assert listed == "['LayerNorm', 'RMSNorm', 'None', 'Peak'] None Peak"
    assert len(said) == 2
    assert said[0].startswith("ExtensionWarning the extension 'broken' of the package peak-lab 1.2 could not be imported, "
                              "and the lab goes on without it: ModuleNotFoundError: No module named 'nowhere'. ")
    assert "'leaves'" in said[1]
    assert "SystemExit: 3" in said[1]


def test_an_extension_that_fails_takes_no_sound_one_along(tmp_path):
    install(tmp_path, broken="import peak_lab.norms\n1 / 0", norms=NORM)
    shown = run_python(tmp_path, "-m", "tlab_core.cli", "knobs", "norm_type")
    assert "LayerNorm, RMSNorm, None, Peak" in shown.stdout
    assert shown.stderr.startswith("Note: the extension 'broken' of the package peak-lab 1.2 could not be imported")


def test_a_views_entry_is_for_the_dashboard_alone(tmp_path):
    install(tmp_path, norms=NORM, views="print('views')\n")
    ask = "from tlab_core.norms import NORMS; NORMS.names(); print('asked'); import tlab_dash; NORMS.names()"
    assert run_python(tmp_path, "-c", ask).stdout == "asked\nviews\n"


def test_a_module_of_ones_own_for_the_command(tmp_path):
    """What the command is told to import is there for the command, and for what it starts, by the environment."""
    (tmp_path / "plain.py").write_text(NORM)
    (tmp_path / "broken.py").write_text("1 / 0")
    command = ("-m", "tlab_core.cli", "--import")
    assert "None, Peak" in run_python(tmp_path, *command, "plain", "knobs", "norm_type").stdout
    for name, said in (
        ("broken", "Error: --import: broken could not be imported. ZeroDivisionError: division by zero"),
        ("plain.py", "Error: --import: 'plain.py' is no module's name. Without its ending it is one: --import plain."),
        ("no_such", "Error: --import: no_such could not be imported. ModuleNotFoundError: No module named 'no_such'"),
    ):  # fmt: skip
        assert said in run_python(tmp_path, *command, name, "knobs", "norm_type", code=2).stderr
    ask = ("from tlab_core.cli.main import import_own; import os, subprocess, sys; import_own(('plain',)); "
           "print(os.environ['TLAB_IMPORT'], flush=True); "
           "subprocess.run([sys.executable, '-c', 'from tlab_core.norms import NORMS; print(NORMS.names())'])")
    assert run_python(tmp_path, "-c", ask).stdout == "plain\n['LayerNorm', 'RMSNorm', 'None', 'Peak']\n"
    ask = "import os; os.environ['TLAB_IMPORT'] = 'broken, plain'; from tlab_core.norms import NORMS; print(NORMS.names())"
    named = run_python(tmp_path, "-c", ask)
    assert "'Peak'" in named.stdout
    assert "the module broken, which $TLAB_IMPORT names, could not be imported, and the lab goes on" in named.stderr


def test_a_packages_norm_in_the_command_and_in_worker_processes(tmp_path):
    install(tmp_path, norms=NORM, broken="1 / 0")
    shown = run_python(tmp_path, "-m", "tlab_core.cli", "knobs", "norm_type")
    assert "LayerNorm, RMSNorm, None, Peak" in shown.stdout
    assert shown.stderr.startswith("Note: the extension 'broken' of the package peak-lab 1.2 could not be imported")
    assert len(shown.stderr.splitlines()) == 1
    script = """
        from tests.core.tiny_runs import model_of, trainer_of
        runs = {name: trainer_of(model=model_of(norm_type="Peak"), executor=name) for name in ("serial", "processes")}
        losses = {name: [record.loss for record in trainer.run(steps=3)] for name, trainer in runs.items()}
        runs["processes"].close()
        print(losses["serial"] == losses["processes"])
    """
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True,
                          timeout=120, env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), "."])})  # fmt: skip
    assert (done.stdout, done.stderr) == ("True\n", "")


# ---- a run is opened where its component is missing


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
