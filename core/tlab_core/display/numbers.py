"""Numbers as one reads them: no row of digits where a run broke."""

import math


def with_exponent(x: float) -> str:
    """Return a number as its first two digits and a power of ten.

    >>> with_exponent(1.4114e21), with_exponent(-8.2e-8)
    ('1.4e21', '-8.2e-8')
    """
    digits, power = f"{x:.1e}".split("e")
    return f"{digits}e{int(power)}"


def loss_figure(loss: float) -> str:
    """Return a loss in nats with three digits after the point, or with an exponent from 1,000 on, where no run learns.

    >>> loss_figure(2.3134), loss_figure(1.4114e21), loss_figure(float("nan"))
    ('2.313', '1.4e21', 'nan')
    """
    return with_exponent(loss) if abs(loss) >= 1000 and math.isfinite(loss) else f"{loss:.3f}"


def size_figure(size: float) -> str:
    """Return a size to about three digits; with an exponent from a million on.

    >>> size_figure(9.041), size_figure(3825.2), size_figure(9.86e35)
    ('9.04', '3,825', '9.9e35')
    """
    if abs(size) >= 1e6 and math.isfinite(size):
        return with_exponent(size)
    return f"{size:,.0f}" if abs(size) >= 100 else f"{size:.3g}"
