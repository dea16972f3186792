"""How Sphinx builds the site: python -m sphinx -W --keep-going -n docs docs/_build/html"""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for docs.generator

project = "Transformer Intuition Lab"
author = "The Transformer Intuition Lab authors"
project_copyright = author
release = version = installed("transformer-intuition-lab")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "docs.generator.extension"]
exclude_patterns = ["_build", "generator", "_static"]
nitpicky = True
# Types in signatures, most of them of NumPy and Python, have no page here; a link that someone wrote must lead somewhere.
nitpick_ignore_regex = [("py:class", ".*")]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

copybutton_exclude = ".linenos, .gp, .go"  # a prompt and what was answered are not for pasting

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = project
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style, pygments_dark_style = "tango", "monokai"
