"""A NATS of the tests' own, with the platform's settings."""

from pathlib import Path

from shared.platform import nats
from shared.runtime.events.broker import Broker
from tests.support.server import Server, free_port


class Nats(Server):
    """home: a CENTER_HOME that has the certificates, and gets the server's files."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        nats.write(home, "127.0.0.1", self.port, free_port())

    @property
    def url(self) -> str:
        return f"tls://127.0.0.1:{self.port}"

    def broker(self, identity: str = "control") -> Broker:
        return Broker(self.home, identity, self.url)

    def start(self) -> None:
        log = nats.folder(self.home) / "nats.log"
        self.launch(nats.command(self.home), log, lambda said: b"Server is ready" in said)
