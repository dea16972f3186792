"""A worker process: it does what processes.py asks for, on shared memory, until nobody is left to ask.

Its first line of standard input says what model to build and which shards are its own, and it answers "ready" or an error.
Every further line is a task, answered by the results. It ends when its input ends, which is so as soon as the parent
closes it or is gone; and it looks once a second whether the parent is still there, in case a fork of the parent keeps
the pipe open.
"""

import json
import os
import signal
import sys
import threading
import time
from importlib import import_module
from typing import IO, Any

import numpy as np

from tlab_core.config import Architecture, Training
from tlab_core.optimizers import OPTIMIZERS
from tlab_core.parallel import one_blas_thread
from tlab_core.shards import Shards
from tlab_core.shared_arrays import SharedArrays
from tlab_core.transformer import Transformer


def main() -> None:
    """Serve the parent, whose process id is the last argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    if os.name == "posix":
        threading.Thread(target=end_with, args=[int(sys.argv[-1])], daemon=True).start()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anyone prints goes where errors go: the pipe is for answers
    with np.errstate(all="ignore"), one_blas_thread():
        serve(requests, answers)


def end_with(parent: int) -> None:
    """End this process within a second of its parent's end."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Build the model, then do one task a line."""

    def answer(**message) -> None:
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()

    first = requests.readline()
    if not first:
        return
    try:
        shards, shared, mine = set_up(json.loads(first))
    except Exception as error:
        answer(error=f"{type(error).__name__}: {error}")
        return
    answer(ready=True)
    for line in requests:
        message = json.loads(line)
        if "training" in message:
            shards.training = Training.from_dict(message["training"])
        shards.tokens, shards.targets = (shared[name][: message["rows"]] for name in ("tokens", "targets"))
        task = getattr(shards, message["task"])
        answer(results={shard: task(shard, *message["numbers"]) for shard in mine})


def set_up(order: dict[str, Any]) -> tuple[Shards, SharedArrays, list[int]]:
    """Build the parent's model and optimizer on the shared arrays."""
    for module in order["modules"]:
        import_module(module)
    shared, training = SharedArrays(order["layout"], order["handle"]), Training.from_dict(order["training"])
    model = Transformer(Architecture.from_dict(order["architecture"]), flat=shared["parameters"])
    optimizer = OPTIMIZERS.get(training.optimizer)(model.flat, model.shapes)
    for name in order["state"]:
        setattr(optimizer, name, shared[name])
    gradients = [shared[f"gradient.{shard}"] for shard in range(order["shards"])]
    return Shards(model, optimizer, training, gradients), shared, order["mine"]


if __name__ == "__main__":
    main()
