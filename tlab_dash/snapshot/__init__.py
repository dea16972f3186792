"""Snapshots: runs as one HTML file whose pictures still answer, with no server and no network behind them."""

from tlab_dash.snapshot.file import snapshot
from tlab_dash.snapshot.given import runs_of
from tlab_dash.snapshot.page import Snapshot, snapshot_bytes
from tlab_dash.snapshot.scene import SnapshotError

__all__ = ["Snapshot", "SnapshotError", "runs_of", "snapshot", "snapshot_bytes"]
