"""What is looked at: clamped on reading, following the liveliest head until something is chosen."""

import numpy as np
import pytest

from tests.dash.fakes import fake_run, maps
from tlab_dash.selection import RESTLESSNESS, Selection, liveliest_head, sizes


def changed(run, step, **changes):
    """Append an attention record like the last one, but heads "l1h2" moved towards their own character by a share."""
    weight = run.recorder.group("attention")["weight"].values[-1].copy()
    for name, share in changes.items():
        layer, head = int(name[1]), int(name[3])
        weight[layer, head] = (1 - share) * weight[layer, head] + share * np.eye(weight.shape[-1])
    run.recorder.append("attention", step, {"weight": weight.astype(np.float32)})


@pytest.fixture
def run():
    return fake_run(layers=4, heads=3, positions=12, records=1)


def test_sizes_are_those_of_the_record():
    assert sizes(fake_run(layers=5, heads=2, positions=20, records=1)) == (5, 2, 20)


def test_before_training_the_middle_layer_is_shown(run):
    assert Selection().resolve(run) == (2, 0, 11)


def test_the_head_whose_map_changed_most_is_followed(run):
    changed(run, 5, l1h2=0.5, l3h0=0.2)
    assert liveliest_head(run) == (1, 2)
    assert Selection().resolve(run)[:2] == (1, 2)


def test_a_little_livelier_is_not_enough_to_take_over(run):
    selection = Selection()
    changed(run, 5, l1h2=0.5)
    assert selection.resolve(run)[:2] == (1, 2)
    changed(run, 10, l1h2=0.2, l3h0=0.2)  # moves more: the other's map is nearer to its target already
    assert liveliest_head(run) == (3, 0)
    assert liveliest_head(run, shown=(1, 2)) == (3, 0)
    run = fake_run(layers=4, heads=3, positions=12, records=1)
    changed(run, 5, l1h1=0.2, l3h1=0.2 * RESTLESSNESS * 0.9)
    assert liveliest_head(run) == (3, 1)
    assert liveliest_head(run, shown=(1, 1)) == (1, 1)
    assert liveliest_head(run, shown=(0, 0)) == (3, 1)


def test_a_broken_map_is_not_lively(run):
    changed(run, 5, l1h2=0.5)
    weight = run.recorder.group("attention")["weight"].values[-1].copy()
    weight[0, 0] = np.nan
    weight[3, 1] = maps(1, 1, 12, 0.0)[0, 0] * 0.5
    run.recorder.append("attention", 10, {"weight": weight})
    assert liveliest_head(run) == (3, 1)


def test_choosing_pins_and_keeps_the_rest_as_it_was_shown(run):
    changed(run, 5, l1h2=0.5)
    selection = Selection()
    selection.choose(run, position=3)
    assert selection.pinned
    assert selection.resolve(run) == (1, 2, 3)
    changed(run, 10, l3h0=0.9)
    assert selection.resolve(run) == (1, 2, 3)
    selection.choose(run, layer=0)
    assert selection.resolve(run) == (0, 2, 3)


def test_release_follows_again(run):
    selection = Selection()
    selection.choose(run, layer=0, head=0, position=3)
    changed(run, 5, l1h2=0.5)
    selection.release()
    assert not selection.pinned
    assert selection.resolve(run) == (1, 2, 11)


def test_what_was_chosen_survives_a_smaller_run(run):
    selection = Selection()
    selection.choose(run, layer=3, head=2, position=11)
    small = fake_run(layers=2, heads=1, positions=6, records=1)
    assert selection.resolve(small) == (1, 0, 5)
    assert selection.resolve(run) == (3, 2, 11)


def test_a_new_run_is_followed_from_its_own_beginning(run):
    changed(run, 5, l1h2=0.5)
    selection = Selection()
    selection.resolve(run)
    other = fake_run(layers=2, heads=2, positions=12, records=1)
    assert selection.resolve(other) == (1, 0, 11)


def test_nothing_below_zero_can_be_chosen(run):
    with pytest.raises(ValueError, match="layer"):
        Selection().choose(run, layer=-1)
