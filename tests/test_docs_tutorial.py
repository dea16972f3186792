"""The tutorial, followed to the letter in an empty folder: its files are saved, its commands run, its output compared."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tlab_core

PAGE = Path(__file__).parents[1] / "docs" / "add_a_norm.md"
MORE = PAGE.with_name("add_more.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"# ([\w.]+)\n")
PATIENCE = 240  # seconds for one command, on a busy machine

pytestmark = pytest.mark.slow


def blocks(page=PAGE):
    """A page's blocks of code, in their order: (language, text)."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def environment(folder: Path) -> dict[str, str]:
    """A virtual environment of the reader's, in which the lab is installed: what is installed here is seen there too."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=PATIENCE)
    packages = next(folder.glob("lib/python*/site-packages"))
    here = [path for path in sys.path if path.endswith("site-packages")] + [str(Path(tlab_core.__file__).parents[1]),
                                                                            str(Path(__file__).parents[1])]
    # `addsitedir`, as the lab may be installed there by a .pth file.
    (packages / "lab.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in here))
    tlab = folder / "bin" / "tlab"
    tlab.write_text(f"#!{folder}/bin/python\nfrom tlab_core.cli import main\nmain()\n")
    tlab.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV", "TLAB_RUNS")}
    # What a reader's pip would fetch to build the package is installed here: the test asks no network.
    return kept | {"PATH": f"{folder}/bin:{os.environ['PATH']}", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0",
                   "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}  # fmt: skip


def shows(expected: str, output: str) -> bool:
    """Whether the expected text stands in the output, in which "..." may be anything."""
    return re.search(r"(?:.|\n)*?".join(map(re.escape, expected.strip().split("..."))), output) is not None


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Follow the page; return the folder, and what each command printed beside what was promised."""
    pytest.importorskip("hatchling")
    return follow(PAGE, tmp_path_factory.mktemp("reader"))


def follow(page, folder):
    """Follow a page in an empty folder; return the place, and what each command printed beside what was promised."""
    work = folder / "empty"
    work.mkdir()
    variables, output, told = environment(folder / "venv"), "", []
    for language, text in blocks(page):
        if language == "bash":
            ended = subprocess.run(["bash", "-e", "-c", text], cwd=work, env=variables, capture_output=True, text=True,
                                   timeout=PATIENCE, check=False)  # fmt: skip
            assert ended.returncode == 0, f"{text}\n{ended.stdout}\n{ended.stderr}"
            assert "Warning" not in ended.stderr, ended.stderr
            output = ended.stdout
        elif language == "text":
            told.append((text, output))
        else:
            (work / NAME.match(text)[1]).write_text(text, encoding="utf-8")
    return work, told


@pytest.mark.timeout(900)
def test_every_command_prints_what_the_page_promises(followed):
    _, told = followed
    assert len(told) == 4
    for promised, printed in told:
        assert shows(promised, printed), f"promised:\n{promised}\nprinted:\n{printed}"


@pytest.mark.timeout(900)
def test_the_page_leads_to_a_run_that_keeps_the_norm_and_to_a_snapshot_with_its_code(followed):
    work, _ = followed
    settings = "\n".join(path.read_text(encoding="utf-8") for path in (work / "runs").rglob("*.yaml"))
    assert "norm_type: ScaleNorm" in settings
    snapshot = (work / "norms.html").read_text(encoding="utf-8")
    assert all(word in snapshot for word in ("ScaleNorm", "RMSNorm", "along"))


@pytest.mark.timeout(900)
def test_the_page_about_the_rest_is_followed_too(tmp_path):
    work, told = follow(MORE, tmp_path)
    assert len(told) == 1
    for promised, printed in told:
        assert shows(promised, printed), f"promised:\n{promised}\nprinted:\n{printed}"
    assert (work / "sink.html").stat().st_size


def test_the_page_is_about_ten_minutes_long():
    code = [text for language, text in blocks() if language in ("python", "toml")]
    assert sum(len(text.splitlines()) for text in code) < 100
    assert all(NAME.match(text) for text in code)  # each file says how it is called


def test_a_promise_that_is_not_kept_is_seen():
    assert shows("loss ... nats\n... end", "x\nloss 1.5 nats\nand\n the end")
    assert not shows("loss ... nats", "loss 1.5 bits")
