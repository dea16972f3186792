"""Taking a lesson on the page: its steps from the first look to what to keep, with the bench as its stage."""

from tlab_dash.lessons.taking import STEPS, Taking

__all__ = ["STEPS", "Taking"]
