"""What an app does: serve the lab, or where the server's limits can't be used, a page that says what is wrong."""

from __future__ import annotations

import logging

from tlab_core.limits import LimitError
from tlab_dash.lab import TITLE, Lab
from tlab_dash.limits import plain_page, server_limits


def serve() -> None:
    """Serve the page of this session: `serve()` is all there is to an app, after `pn.extension()`."""
    try:
        server_limits()
    except LimitError as error:
        logging.getLogger(__name__).error("%s", error)
        plain_page(f"This lab can't be opened. {error}").servable(title=TITLE)
    else:
        Lab().servable()
