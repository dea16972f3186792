"""What the server of `tlab lab` does before it answers: load what a first page needs, or its visitor waits for that too."""

import tlab_dash.lab  # noqa: F401
