"""Components of one's own are registered, registered again, and refused where they are none."""

import sys
from types import SimpleNamespace

import pytest

from tests.core.extensions import PeakNorm
from tlab_core import Architecture
from tlab_core.activations import ACTIVATIONS, Swish
from tlab_core.corpora import CORPORA, Corpus
from tlab_core.knobs import KnobError
from tlab_core.norms import NORMS, Norm, RMSNorm
from tlab_core.optimizers import OPTIMIZERS
from tlab_core.own_statistics import STATISTICS
from tlab_core.positions import POSITIONS
from tlab_core.registry import Registry
from tlab_core.residuals import RESIDUALS, ResidualLayout
from tlab_core.schedules import SCHEDULES


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
