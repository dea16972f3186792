"""What settings, models and runs say of themselves where they are shown: one description, drawn as text and as HTML.

What is not imported here is of use only to whoever looks, and most processes only train.
"""

from tlab_core.display.described import Described

__all__ = ["Described"]
