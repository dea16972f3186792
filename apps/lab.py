"""The lab as an app: `panel serve apps/lab.py`."""

import panel as pn

from tlab_dash import serve

pn.extension()
serve()
