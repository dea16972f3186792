"""The command `tlab`: it trains, resumes, writes with, keeps, compares and exports runs from a terminal."""

from tlab_core.cli.main import main, tlab

__all__ = ["main", "tlab"]
