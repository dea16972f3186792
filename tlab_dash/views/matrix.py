"""The analysis of the chosen parameter, which two views show."""

from __future__ import annotations

from tlab_dash.views.view import analysis


def needs(run, selection) -> dict[str, dict]:
    """Return the analysis that has to be taken first."""
    return {"weights": {"parameter": selection.parameter(run)}}


def taken(run, parameter: str):
    """Return the Dataset of a parameter, or None until it has been taken."""
    return analysis(run, "weights", {"parameter": parameter})
