"""What several tests of the dashboard start from."""

import pytest

from tests.dash.kept_runs import keep_runs


@pytest.fixture(scope="session")
def kept_runs(tmp_path_factory):
    """A folder with four saved runs, only to be read."""
    return keep_runs(tmp_path_factory.mktemp("kept"))
