"""Every plot of the lab, one a file. `views.loss(run)` draws one, `views.live(run, "loss")` one that follows the run;
`VIEWS` holds them all by name."""

from tlab_dash.views.all_heads import all_heads
from tlab_dash.views.attention import attention
from tlab_dash.views.gradient_flow import gradient_flow
from tlab_dash.views.gradient_norm import gradient_norm
from tlab_dash.views.gradient_places import gradient_places
from tlab_dash.views.gradient_ratio import gradient_ratio
from tlab_dash.views.gradient_sites import gradient_sites
from tlab_dash.views.guarded import ViewError
from tlab_dash.views.head_history import head_history
from tlab_dash.views.head_scores import head_scores
from tlab_dash.views.heads import heads
from tlab_dash.views.layer_statistics import PLACES, layer_statistics
from tlab_dash.views.learning_rate import learning_rate
from tlab_dash.views.live import live
from tlab_dash.views.long_loss import long_loss
from tlab_dash.views.long_scores import long_qk_max, long_qk_mean, long_qk_std
from tlab_dash.views.loss import loss
from tlab_dash.views.own_statistic import own_statistic
from tlab_dash.views.probe_text import breadcrumb, probe_text, reading
from tlab_dash.views.qk import qk
from tlab_dash.views.qk_distance import qk_distance
from tlab_dash.views.qk_history import qk_history
from tlab_dash.views.qk_lengths import qk_lengths
from tlab_dash.views.qk_scores import qk_scores
from tlab_dash.views.saving import PictureError, save
from tlab_dash.views.signal import signal
from tlab_dash.views.signal_places import signal_places
from tlab_dash.views.singular_values import singular_values
from tlab_dash.views.speed import speed
from tlab_dash.views.spread import spread
from tlab_dash.views.unit_histogram import unit_histogram
from tlab_dash.views.unit_shares import unit_shares
from tlab_dash.views.units import units
from tlab_dash.views.update_ratio import update_ratio
from tlab_dash.views.view import VIEWS, View, ensure_backend
from tlab_dash.views.weight_history import weight_history
from tlab_dash.views.weight_map import weight_map
from tlab_dash.views.weight_spread import weight_spread
from tlab_dash.views.wording import MEASURE_WORDS, WEIGHT_MEASURE_WORDS, parameter_words

__all__ = [
    "MEASURE_WORDS",
    "PLACES",
    "VIEWS",
    "WEIGHT_MEASURE_WORDS",
    "PictureError",
    "View",
    "ViewError",
    "all_heads",
    "attention",
    "breadcrumb",
    "ensure_backend",
    "gradient_flow",
    "gradient_norm",
    "gradient_places",
    "gradient_ratio",
    "gradient_sites",
    "head_history",
    "head_scores",
    "heads",
    "layer_statistics",
    "learning_rate",
    "live",
    "long_loss",
    "long_qk_max",
    "long_qk_mean",
    "long_qk_std",
    "loss",
    "own_statistic",
    "parameter_words",
    "probe_text",
    "qk",
    "qk_distance",
    "qk_history",
    "qk_lengths",
    "qk_scores",
    "reading",
    "save",
    "signal",
    "signal_places",
    "singular_values",
    "speed",
    "spread",
    "unit_histogram",
    "unit_shares",
    "units",
    "update_ratio",
    "weight_history",
    "weight_map",
    "weight_spread",
]
