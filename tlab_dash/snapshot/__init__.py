"""Snapshots: runs as one HTML file whose pictures still answer, with no server and no network behind them."""

from tlab_dash.snapshot.page import Snapshot, runs_of, snapshot, snapshot_bytes
from tlab_dash.snapshot.scene import SnapshotError

__all__ = ["Snapshot", "SnapshotError", "runs_of", "snapshot", "snapshot_bytes"]
