"""A real kernel, as a notebook has it: what a page asks is heard, also where ipykernel misses the sign that it has come."""

import queue

import pytest

pytest.importorskip("ipykernel", minversion="7", reason="older kernels answer by the stream that questions come in by")
from jupyter_client.manager import start_new_kernel

# What an answer does to a question that comes in the very same moment.
MISS_IT = """
import time, zmq
from IPython import get_ipython
kernel = get_ipython().kernel
def miss():
    time.sleep(1)
    kernel.shell_stream.socket.getsockopt(zmq.EVENTS)
kernel.shell_channel_thread.io_loop.add_timeout(time.time() + 0.5, miss)
"""


@pytest.fixture
def client(tmp_path, monkeypatch):
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=60)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.slow
def test_a_question_that_was_missed_is_heard_all_the_same(client):
    client.execute("import panel; panel.extension(); import tlab_dash; tlab_dash.notebook()", reply=True, timeout=120)
    client.execute(MISS_IT, reply=True, timeout=60)
    with pytest.raises(queue.Empty):  # lets the kernel come to where it misses what is asked next
        client.get_shell_msg(timeout=1.0)
    asked = client.execute("1 + 1")
    assert client.get_shell_msg(timeout=60)["parent_header"]["msg_id"] == asked
