"""NATS with JetStream out of its wheel: its settings, and who may say and hear what."""

import json
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from shared.platform import ports
from shared.platform.config import Config
from shared.runtime import pki
from shared.runtime.events import subjects

IDENTITY = "nats"
# Larger than any message a server of ours takes: what was committed can always be published.
MAX_PAYLOAD_BYTES = 8 << 20


def folder(home: Path) -> Path:
    return home / "nats"


def binary() -> Path:
    return Path(sysconfig.get_path("scripts")) / "nats-server"


def command(home: Path) -> Sequence[str]:
    return [str(binary()), "-c", str(folder(home) / "nats.conf")]


def configure(config: Config) -> None:
    """Writes the server's settings."""
    write(config.home, config.bind, ports.NATS + config.offset, ports.NATS_MONITOR + config.offset)


def write(home: Path, bind: str, port: int, monitor_port: int) -> None:
    store = folder(home)
    store.mkdir(parents=True, exist_ok=True)
    settings = {
        "server_name": "center",
        "listen": f"{bind}:{port}",
        # For the machine itself, whatever else is bound.
        "http": f"127.0.0.1:{monitor_port}",
        "max_payload": MAX_PAYLOAD_BYTES,
        "jetstream": {"store_dir": str(store / "data"), "max_file_store": 32 << 30, "max_memory_store": 64 << 20},
        "tls": {
            "cert_file": str(pki.cert_path(home, IDENTITY)),
            "key_file": str(pki.key_path(home, IDENTITY)),
            "ca_file": str(pki.ca_path(home)),
            # Who connects is who the certificate's SPIFFE URI says; an identity that is not listed below is nobody.
            "verify_and_map": True,
        },
        "authorization": {"users": users()},
    }
    path = store / "nats.conf"
    draft = path.with_suffix(".draft")
    # NATS reads JSON, too.
    draft.write_text(json.dumps(settings, indent=1))
    draft.replace(path)


def users() -> list[dict[str, object]]:
    """The planes' processes and operators; each plane says only what is its own. No shop and no solution connects."""
    data, control = subjects.STREAMS["dataplane"], subjects.STREAMS["control"]
    clusters = [
        _user(
            f"cluster/{cluster}",
            _says("dataplane"),
            _finds(data),
            _finds(control),
            _consumes(data, f"notifications-{cluster}"),
            _consumes(data, f"webhooks-{cluster}"),
            _consumes(control, f"webhooks-{cluster}-control"),
            _rereads(data),
            _rereads(control),
        )
        for cluster in (known.id for known in ports.CLUSTERS)
    ]
    reads = ["$JS.API.CONSUMER.>", "$JS.ACK.>", "$JS.FC.>"]
    return [
        *clusters,
        _user("control", _says("control"), _finds("*"), reads, [f"{subjects.DEAD}.>"]),
        _user("operator", [f"{subjects.AGAIN}.>"], ["$JS.API.>"], reads),
    ]


def _says(plane: str) -> list[str]:
    """Its events, and those of them that it could not write a subject for."""
    return [f"{subjects.EVENTS}.{plane}.>", f"{subjects.DEAD}.{subjects.RELAY}.>"]


def _finds(stream: str) -> list[str]:
    """A stream, or makes it."""
    return [f"$JS.API.STREAM.{verb}.{name}" for verb in ("INFO", "CREATE") for name in {stream, subjects.DEAD_LETTERS}]


def _consumes(stream: str, consumer: str) -> list[str]:
    """Is that consumer and no other one, and may set its events aside."""
    verbs = ("INFO", "DELETE", "MSG.NEXT", "CREATE", "DURABLE.CREATE")
    api = [f"$JS.API.CONSUMER.{verb}.{stream}.{consumer}" for verb in verbs]
    # With a filter of one subject, the request for a consumer names it, too.
    return [*api, f"{api[3]}.>", f"$JS.ACK.{stream}.{consumer}.>", f"{subjects.DEAD}.{consumer}.>"]


def _rereads(stream: str) -> list[str]:
    """Looks at what there is, by consumers without a name, which end with the connection."""
    return [f"$JS.API.CONSUMER.CREATE.{stream}", f"$JS.API.CONSUMER.INFO.{stream}.*", "$JS.FC.>"]


def _user(identity: str, *says: list[str]) -> dict[str, object]:
    allowed = sorted({subject for some in says for subject in some})
    return {
        "user": pki.uri(identity),
        "permissions": {"publish": {"allow": allowed}, "subscribe": {"allow": ["_INBOX.>"]}},
    }
