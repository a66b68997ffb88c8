"""gRPC for every plane: servers and channels made in one place, with the same chain of parts around every method."""

from shared.runtime.rpc.channel import connect
from shared.runtime.rpc.process import run
from shared.runtime.rpc.server import Server, Service, serving
from shared.runtime.rpc.status import received

__all__ = ["Server", "Service", "connect", "received", "run", "serving"]
