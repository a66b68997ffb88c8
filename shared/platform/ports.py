"""Where every process of the one-machine platform listens; one offset moves them all."""

import errno
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psutil

POSTGRES = 7432
NATS, NATS_MONITOR = 4222, 8222
CONTROL, CONTROL_ADMIN, CONTROL_METRICS = 7100, 7110, 7120
EDGE, EDGE_ADMIN, EDGE_METRICS = 7200, 7210, 7220
ENVOY, ENVOY_ADMIN = 8080, 9901
# The example solution, behind Envoy.
EXAMPLE = 7400
# The simulated provider of payments.
PAYMENTS = 7410

# As long as the kernel keeps the port of a connection that was closed.
LINGER_S = 65.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data-plane cluster that `center up` starts; its ports before the offset."""

    id: str
    region: str
    port: int
    admin: int
    metrics: int


CLUSTERS = (
    Cluster("eu-1", "eu", 7301, 7311, 7321),
    Cluster("us-1", "us", 7302, 7312, 7322),
)


class PortTaken(RuntimeError):
    """Something else listens where the platform would; the message names the port, its use and, if seen, the other."""


@contextmanager
def reserved(host: str, ports: Iterable[tuple[int, str]], said: Callable[[str], None]) -> Iterator[None]:
    """Keeps the ports from becoming the near end of somebody's outgoing connection while the block runs.

    A socket that is bound and never listens does that, and lets servers with SO_REUSEADDR bind the port beside it.
    Above 32768 the kernel hands ports out freely, and a server whose port is in a connection pool would never start.
    """
    ports = list(ports)
    refuse_taken(host, [(port, use) for port, use in ports if _listens(host, port)])
    with ExitStack() as stack:
        give_up_at = time.monotonic() + LINGER_S
        for port, use in ports:
            while (holder := _bound(host, port)) is None:
                if time.monotonic() > give_up_at:
                    refuse_taken(host, [(port, use)])
                said(f"port {port} ({use}) is the near end of a connection; waiting for its end")
                time.sleep(3)
            stack.enter_context(holder)
        yield


def refuse_taken(host: str, ports: Iterable[tuple[int, str]]) -> None:
    """Raises PortTaken with one line for every (port, use) that cannot be bound."""
    taken = []
    for port, use in ports:
        holder = _bound(host, port)
        if holder is None:
            taken.append(f"port {port} ({use}) is taken{_by(port)}")
        else:
            holder.close()
    if taken:
        raise PortTaken("\n".join(taken))


def _bound(host: str, port: int) -> socket.socket | None:
    """A socket bound to the port, None if it is taken."""
    made = socket.socket()
    # A connection of the last run in TIME_WAIT hinders no server, so it must not hinder us.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return made


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((host, port)) == 0


def _by(port: int) -> str:
    try:
        pids = [
            c.pid
            for c in psutil.net_connections("tcp")
            if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port and c.pid
        ]
        return "".join(f" by {psutil.Process(pid).name()} (pid {pid})" for pid in pids[:1])
    except psutil.Error:
        return ""  # only root sees other users' sockets
