"""What several tests of the dashboard start from."""

import pytest

from tests.dash.driven import DrivenRun, settle
from tests.dash.kept_runs import keep_runs
from tlab_dash.fleet import Fleet
from tlab_dash.session import Session


@pytest.fixture
def fleet():
    """Workers of its own, in short slices."""
    fleet = Fleet(slice_seconds=0.02)
    yield fleet
    fleet.close()


@pytest.fixture
def session(fleet):
    """A session with a run that counts steps, ready to train."""
    session = Session(fleet=fleet, open_run=DrivenRun)
    settle(session, lambda: session.run is not None)
    yield session
    session.close()


@pytest.fixture(scope="session")
def kept_runs(tmp_path_factory):
    """A folder with four saved runs, only to be read."""
    return keep_runs(tmp_path_factory.mktemp("kept"))
