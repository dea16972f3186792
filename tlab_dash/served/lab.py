"""The lab as an app: what `tlab lab` serves."""

import panel as pn

from tlab_dash import serve

if pn.state.served:  # merely imported, it opens nothing
    pn.extension()
    serve()
