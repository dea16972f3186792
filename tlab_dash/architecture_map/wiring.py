"""What an architecture is made of, as parts with a name each: the vocabulary of the map.

A part is named after the trace site whose numbers it shows (`residual.3`, `blocks.1.attention`) where there is one, so
values find their part by name. How parts are wired is asked of the registered classes, so a new norm, layout, activation or
position encoding is drawn sensibly without a line here.
"""

from __future__ import annotations

from dataclasses import dataclass

from tlab_core.norms import NORMS
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS

# How many ticks a norm's bead has: one for each thing it does to the signal (centre it, scale it).
TICKS = {"LayerNorm": ("centre", "scale"), "RMSNorm": ("scale",)}

BEFORE, ON_ROAD, AFTER = "before", "on road", "after"  # places of a norm: around the branch, or on the stream itself

ATTENTION, FEED_FORWARD = "attention", "mlp"
BRANCHES = (ATTENTION, FEED_FORWARD)


@dataclass(frozen=True)
class Wiring:
    """An architecture reduced to what the map shows of it."""

    layers: int
    heads: int
    width: int
    ff_width: int
    vocabulary: int
    norm: str
    layout: str
    activation: str
    position: str
    tied: bool
    qk_norm: bool

    @classmethod
    def of(cls, architecture) -> Wiring:
        """Read it off anything with the attributes of an `Architecture`."""
        return cls(
            layers=architecture.num_layers,
            heads=architecture.num_heads,
            width=architecture.hidden_dim,
            ff_width=architecture.resolved_ff_dim,
            vocabulary=architecture.vocab_size,
            norm=_name(architecture.norm_type),
            layout=_name(architecture.residual_type),
            activation=_name(architecture.activation_type),
            position=_name(architecture.pos_encoding_type),
            tied=bool(architecture.tie_embeddings),
            qk_norm=bool(architecture.qk_norm),
        )

    @property
    def norms(self) -> dict[str, str]:
        """Which norms each branch has: from the place (`BEFORE`, `ON_ROAD`, `AFTER`) to the norm's name in the layout."""
        if not NORMS.look(self.norm).measured:
            return {}
        layout = RESIDUALS.look(self.layout)
        places = (ON_ROAD,) if layout.norm_on_the_road else (BEFORE, AFTER)
        return dict(zip(places, layout.norms, strict=False))

    @property
    def has_final_norm(self) -> bool:
        """Whether a norm stands before the head."""
        return NORMS.look(self.norm).measured and RESIDUALS.look(self.layout).final_norm

    @property
    def position_joins_stream(self) -> bool:
        """Whether position is added to the stream above layer 0."""
        return POSITIONS.look(self.position).table

    @property
    def position_in_attention(self) -> bool:
        """Whether position enters in every attention box rather than once, on the stream."""
        return self.position != "None" and not self.position_joins_stream

    def branch(self, layer: int, branch: str) -> str:
        """The name of a branch's box."""
        return f"blocks.{layer}.{branch}"

    def norm_keys(self, layer: int, branch: str) -> dict[str, str]:
        """The names of a branch's beads, by place."""
        number = BRANCHES.index(branch) + 1
        return {place: f"blocks.{layer}.{norm}{number}" for place, norm in self.norms.items()}

    def parts(self) -> dict[str, tuple]:
        """Every part by name, with all that decides how it looks: two architectures differ where these differ."""
        looks: dict[str, tuple] = {"embedding": (self.vocabulary, self.width), "head": (self.vocabulary, self.tied)}
        if not self.position_in_attention:
            looks["position"] = (self.position,)
        if self.has_final_norm:
            looks["final_norm"] = (self.norm,)
        looks["residual.0"] = (self.width,)
        for layer in range(self.layers):
            looks[self.branch(layer, ATTENTION)] = (
                self.heads, self.width, self.qk_norm, self.position if self.position_in_attention else "")
            looks[self.branch(layer, FEED_FORWARD)] = (self.activation, self.width, self.ff_width)
            for number, branch in enumerate(BRANCHES, 1):
                looks[f"residual.{2 * layer + number}"] = (self.width,)
                for place, key in self.norm_keys(layer, branch).items():
                    looks[key] = (self.norm, place)
        return looks


def _name(value: object) -> str:
    """Return a component's name; one that is not here keeps what is known of it (`Absent`)."""
    return value if isinstance(value, str) else str(value)


def changed_parts(before, after) -> set[str]:
    """The names of the parts of architecture `after` that are new or look different in `before`."""
    old = Wiring.of(before).parts()
    return {key for key, look in Wiring.of(after).parts().items() if old.get(key) != look}
