"""A list of the notebooks in examples/, each by its first heading."""

import json
from pathlib import Path

from docs.generator.lesson_pages import plain


def page(folder: Path) -> str:
    """Return the Markdown of the page about the notebooks of a folder."""
    lines = ["# Notebooks", "", "Every panel of the lab works in a notebook. Those in `examples/` show how; each runs in "
             "JupyterLab after `python -m pip install -e \".[notebook]\"`.", ""]  # fmt: skip
    for file in sorted(folder.glob("*.ipynb")):
        lines.append(f"- {{download}}`{plain(heading(file))} <../examples/{file.name}>`")
    return "\n".join([*lines, ""])


def heading(file: Path) -> str:
    """Return a notebook's first heading, or its file's name where it has none."""
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        for line in "".join(cell["source"]).splitlines() if cell["cell_type"] == "markdown" else []:
            if line.startswith("# "):
                return line.removeprefix("# ").strip()
    return file.stem
