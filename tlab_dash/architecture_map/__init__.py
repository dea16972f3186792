"""The architecture map: the transformer as it is wired now, coloured by what happens in each part."""

from tlab_dash.architecture_map.colouring import Paint, paint
from tlab_dash.architecture_map.component import ArchitectureMap, unavailable
from tlab_dash.architecture_map.drawing import drawing
from tlab_dash.architecture_map.values import STATISTICS, MapValues, Scale, broken_part, map_values, widen
from tlab_dash.architecture_map.wiring import Wiring, changed_parts

__all__ = [
    "STATISTICS",
    "ArchitectureMap",
    "MapValues",
    "Paint",
    "Scale",
    "Wiring",
    "broken_part",
    "changed_parts",
    "drawing",
    "map_values",
    "paint",
    "unavailable",
    "widen",
]
