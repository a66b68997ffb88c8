"""Where every process of the one-machine platform listens; one offset moves them all."""

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

POSTGRES = 7432
CONTROL, CONTROL_ADMIN, CONTROL_METRICS = 7100, 7110, 7120
EDGE, EDGE_ADMIN, EDGE_METRICS = 7200, 7210, 7220
ENVOY, ENVOY_ADMIN = 8080, 9901


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


def refuse_taken(host: str, ports: Iterable[tuple[int, str]]) -> None:
    """Raises PortTaken with one line for every (port, use) that cannot be bound."""
    taken = [f"port {port} ({use}) is taken{_by(port)}" for port, use in ports if not _is_free(host, port)]
    if taken:
        raise PortTaken("\n".join(taken))


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        # A connection of the last run in TIME_WAIT hinders no server, so it must not hinder us.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


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
