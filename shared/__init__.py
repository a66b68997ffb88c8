"""What every plane stands on: the runtime, the platform on one machine, the operators' command."""

import gc
import os

# Importing makes objects that stay: looking for garbage among them was a quarter of a process's start. Processes that
# live long set it to what suits calls once they are ready (shared/runtime/rpc/process.py).
gc.set_threshold(20_000, 50, 20)

# PostgreSQL is started under a user of its own, and Python forks for that. grpc's fork handlers, run beside its
# threads, crash some of the children; grpc reads this when it is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
