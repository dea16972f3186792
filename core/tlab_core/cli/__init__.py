"""The command `tlab`: it trains, resumes, writes with, keeps, compares and exports runs from a terminal."""

from tlab_core.cli.early import leaving_at_once

with leaving_at_once():  # these take a second or two
    from tlab_core.cli.main import main, tlab

__all__ = ["main", "tlab"]
