"""What takes long to make (runs, snapshots, figures): made once, two at a time, kept until settings or code change."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from sphinx.errors import SphinxError

import tlab_core
import tlab_dash

ROOT = Path(__file__).parents[2]  # where `docs` lies, as a package to import
AT_ONCE = 2
CODE = (".py", ".js", ".css")


class MakingError(SphinxError):
    """What should have been made could not be; the message ends with what its process said."""

    category = "Generated pages"


@cache
def version() -> str:
    """Return a fingerprint of all code that may change what a run measures or how it is drawn."""
    found = hashlib.sha256()
    for folder in (Path(tlab_core.__file__).parent, Path(tlab_dash.__file__).parent):
        for file in sorted(path for path in folder.rglob("*") if path.suffix in CODE):
            found.update(file.relative_to(folder).as_posix().encode())
            found.update(file.read_bytes())
    return found.hexdigest()


def key(module: str, *settings: Any) -> str:
    """Return a name for what `module` makes of these settings with the code as it is now."""
    code = (ROOT / (module.replace(".", "/") + ".py")).read_bytes()
    said = json.dumps(settings, sort_keys=True, default=repr)
    return hashlib.sha256("\n".join((version(), said)).encode() + code).hexdigest()[:16]


def made(module: str, keys: Mapping[str, str], folder: Path, together: int = 10) -> dict[str, dict[str, Any]]:
    """Return what `module` makes under each name, from `folder` where it lies there already.

    keys      {name: what it is made of}, see `key`
    together  how many a process makes, one after the other
    `python -m MODULE FOLDER NAME=KEY ...` writes a file NAME-KEY.json for each, and may write others that begin so. Files
    that nobody wants any more are removed. Raises MakingError where a process fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stems = {name: f"{name}-{made_of}" for name, made_of in keys.items()}
    for file in folder.iterdir():
        if not file.name.startswith(tuple(stems.values())):
            file.unlink()
    missing = [name for name, stem in stems.items() if not (folder / f"{stem}.json").exists()]
    shares = [missing[start : start + together] for start in range(0, len(missing), together)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(lambda share: _make(module, [f"{name}={keys[name]}" for name in share], folder), shares):
            pass
    return {name: json.loads((folder / f"{stem}.json").read_text(encoding="utf-8")) for name, stem in stems.items()}


def _make(module: str, wanted: list[str], folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    ended = subprocess.run([sys.executable, "-m", module, str(folder), *wanted], cwd=ROOT, env=environment,
                           capture_output=True, text=True, check=False)  # fmt: skip
    if ended.returncode:
        raise MakingError(f"`python -m {module}` failed to make {', '.join(wanted)}:\n{ended.stderr[-4000:]}")
