"""How a solution proves who it is: a certificate straight to the control plane, or a key through Envoy."""

from dataclasses import dataclass, field
from pathlib import Path

import grpc

from center_sdk.errors import InvalidRequest

# Of the certificate that the control plane shows.
CONTROL = "control"
_MESSAGE_LIMIT_BYTES = 32 << 20
_OPTIONS: tuple[tuple[str, str | int], ...] = (
    # Idle watches live, and dead peers are found (control permits pings).
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", _MESSAGE_LIMIT_BYTES),
    ("grpc.max_send_message_length", -1),
    # A control plane that restarts is found again at once, not after grpc's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name how long one attempt may take.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Made by `certificate` or `key`; secrets do not show when it is printed."""

    ca_pem: bytes | None = field(default=None, repr=False)
    certificate_pem: bytes | None = field(default=None, repr=False)
    private_key_pem: bytes | None = field(default=None, repr=False)
    bearer: str = field(default="", repr=False)
    server: str = ""
    is_plaintext: bool = False

    @classmethod
    def certificate(
        cls, *, ca: str | Path | bytes, certificate: str | Path | bytes, key: str | Path | bytes, server: str = CONTROL
    ) -> "Credentials":
        """Mutual TLS, straight to a control process, as spiffe://center/solution/<id>.

        ca, certificate, key: PEM, or the path of a file of it.
        server: the name in the certificate that must answer.
        """
        return cls(ca_pem=_pem(ca), certificate_pem=_pem(certificate), private_key_pem=_pem(key), server=server)

    @classmethod
    def key(cls, secret: str, *, ca: str | Path | bytes | None = None, plaintext: bool = False) -> "Credentials":
        """A solution key (`ccs_...`) over TLS, at the platform's own domain.

        ca: PEM of who signed the platform's certificate; None trusts whom this machine trusts.
        plaintext: without TLS, where the platform is on this very machine.
        """
        if not secret.startswith("ccs_"):
            raise InvalidRequest(
                "SOLUTION_KEY_MALFORMED", "a solution key starts with ccs_; CreateSolutionKey makes them"
            )
        return cls(ca_pem=_pem(ca) if ca is not None else None, bearer=secret, is_plaintext=plaintext)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries. grpc has call credentials for this, but refuses them on channels without TLS."""
        return (("authorization", f"Bearer {self.bearer}"),) if self.bearer else ()

    def channel(self, address: str) -> grpc.aio.Channel:
        """address: host:port. Names below localhost are this machine (RFC 6761), whatever its resolver says."""
        host, _, port = address.rpartition(":")
        is_local = host == "localhost" or host.endswith(".localhost")
        target = f"127.0.0.1:{port}" if is_local else address
        options = (*_OPTIONS, ("grpc.default_authority", address)) if is_local and self.bearer else _OPTIONS
        if self.is_plaintext:
            if not (is_local or host.startswith("127.") or host == "[::1]"):
                raise InvalidRequest("PLAINTEXT_REFUSED", f"{address} is another machine: keys go there over TLS")
            return grpc.aio.insecure_channel(target, options=options)
        if self.server:
            options = (*options, ("grpc.ssl_target_name_override", self.server))
        elif is_local:
            options = (*options, ("grpc.ssl_target_name_override", host))
        credentials = grpc.ssl_channel_credentials(self.ca_pem, self.private_key_pem, self.certificate_pem)
        return grpc.aio.secure_channel(target, credentials, options=options)


def _pem(given: str | Path | bytes) -> bytes:
    return given if isinstance(given, bytes) else Path(given).read_bytes()
