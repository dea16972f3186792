"""What lets an object be shown: a base class that every process imports, and that imports nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tlab_core.display.description import Description


class Described:
    """Lets an object be shown at the end of a notebook cell and by `print`, from what its `describe()` returns.

    `repr` is what its `one_line()` returns, for lists, messages and a debugger.
    """

    def describe(self) -> Description:
        """Return what there is to say of this object."""
        raise NotImplementedError

    def one_line(self) -> str:
        """Return the same in one line."""
        raise NotImplementedError

    def __repr__(self):  # here, since IPython takes what comes first among a class and its bases: this or `_repr_pretty_`
        return self.one_line()

    def __str__(self):
        return self.describe().text()

    def _repr_html_(self) -> str:
        return self.describe().html()

    def _repr_pretty_(self, printer, cycle: bool) -> None:
        # IPython prints the objects in a list by this method too, and there a line is enough.
        alone = not cycle and len(printer.stack) <= 1
        printer.text(str(self) if alone else repr(self))
