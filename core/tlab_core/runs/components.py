"""Which components of a run are not the lab's own: where they came from is kept, to be said where they are missing."""

from collections.abc import Iterator
from typing import Any

from tlab_core.absent import Absent
from tlab_core.corpora import CORPORA
from tlab_core.experiment import PARTS, Experiment
from tlab_core.extensions import origin
from tlab_core.registry import Registry
from tlab_core.runs.code import fingerprint, is_other

CORPUS = "corpus"


def components_of(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Return what is to be kept of each component that is not the lab's own, by the full name of its knob.

    Its name, module, package and version, and its traits (`Registry.look`).
    """
    return {full: {"name": str(name), **came_from,
                   "traits": registry.traits_of(name) if name in registry else dict(name.traits)}
            for full, registry, name, came_from in _own(experiment)}  # fmt: skip


def codes_of(experiment: Experiment) -> dict[str, str]:
    """Return the fingerprints of the components that are not the lab's own, by the full name of the knob.

    A corpus is known by its text.
    """
    return {full: fingerprint(registry.get(name)) for full, registry, name, _ in _own(experiment)
            if full != CORPUS and name in registry}  # fmt: skip


def of_other_code(experiment: Experiment, codes: object) -> list[str]:
    """Return which components have other code here than the fingerprints that `codes_of` once returned: "the norm 'Mine'".

    codes  out of a file that anyone may have written
    """
    known = codes if isinstance(codes, dict) else {}
    return [f"the {registry.kind} {str(name)!r}" for full, registry, name, _ in _own(experiment)
            if full in known and name in registry and is_other(known[full], registry.get(name))]  # fmt: skip


def own_modules(experiment: Experiment) -> dict[str, str]:
    """Return the modules that define what the settings name and the lab doesn't have: module -> "the norm 'MyNorm'"."""
    found: dict[str, list[str]] = {}
    for _, registry, name, came_from in _own(experiment):
        if came_from["module"]:
            found.setdefault(came_from["module"], []).append(f"the {registry.kind} {str(name)!r}")
    return {module: " and ".join(named) for module, named in found.items()}


def with_absent(settings: dict[str, Any], components: object) -> dict[str, Any]:
    """Return a run's settings in which the names of components that are not here are `Absent` ones.

    components  what `components_of` kept, out of a file that anyone may have written
    """
    known = components if isinstance(components, dict) else {}
    changed = {knob: dict(value) if isinstance(value, dict) else value for knob, value in settings.items()}
    for full, registry, name in _named(settings):
        said = known.get(full)
        said = said if isinstance(said, dict) and said.get("name") == name else {}
        if name in registry or (full == CORPUS and not said):  # a text may also be a file
            continue
        part, _, knob = full.rpartition(".")
        absent = Absent(name, registry.kind, knob, said.get("module", ""), said.get("package", ""),
                        said.get("version", ""), _traits(said.get("traits")))
        (changed[part] if part else changed)[knob] = absent
    return changed


def _own(experiment: Experiment) -> Iterator[tuple[str, Registry, str, dict[str, str]]]:
    """Yield (full name of the knob, registry, name, module and package and version) of what is not the lab's own."""
    for full, registry, name in _named(experiment.to_dict()):
        if isinstance(name, Absent) and name not in registry:
            yield full, registry, name, {"module": name.module, "package": name.package, "version": name.version}
        elif name in registry and (came_from := origin(registry.get(name))) is not None:
            yield full, registry, name, came_from


def _named(settings: dict[str, Any]) -> Iterator[tuple[str, Registry, str]]:
    """Yield (full name of the knob, registry, name) of what settings name out of a registry, as far as they are sound."""
    for part, kind in PARTS.items():
        values = settings.get(part)
        for knob in kind.knobs() if isinstance(values, dict) else ():
            registry, name = getattr(kind.param[knob], "options", None), values.get(knob)
            if isinstance(registry, Registry) and isinstance(name, str) and name not in kind.param[knob].extra:
                yield f"{part}.{knob}", registry, name
    if isinstance(settings.get(CORPUS), str):
        yield CORPUS, CORPORA, settings[CORPUS]


def _traits(said: object) -> dict[str, Any]:
    """Return traits as `Registry.look` wants them, without what could be none."""
    found = {}
    for trait, value in (said if isinstance(said, dict) else {}).items():
        if isinstance(value, list) and all(isinstance(word, str) and word.isidentifier() for word in value):
            found[trait] = tuple(value)
        elif isinstance(value, bool):
            found[trait] = value
    return found
