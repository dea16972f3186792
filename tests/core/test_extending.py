"""Components of one's own that break in the middle of a model, and those that packages bring."""

import os
import re
import subprocess
import sys
import textwrap

import pytest

from tests.core.extensions import NORM, install, run_python
from tests.core.tiny_runs import model_of, trainer_of
from tlab_core import Transformer
from tlab_core.blame import in_words
from tlab_core.norms import NORMS, RMSNorm
from tlab_core.optimizers import OPTIMIZERS

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
