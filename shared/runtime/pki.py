"""The development CA of one machine, and a certificate for every service identity."""

import fcntl
import ipaddress
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TRUST_DOMAIN = "center"
CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
# Two machines whose clocks differ a little must agree that a new certificate is valid already.
BACKDATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a process shows of itself over mutual TLS; all three are PEM."""

    name: str
    ca_pem: bytes
    cert_pem: bytes
    key_pem: bytes


def uri(name: str) -> str:
    """The SPIFFE URI of an identity: spiffe://center/cluster/eu-1."""
    return f"spiffe://{TRUST_DOMAIN}/{name}"


def ca_path(home: Path) -> Path:
    return home / "pki" / "ca.pem"


def cert_path(home: Path, name: str) -> Path:
    return home / "pki" / f"{name.replace('/', '-')}.pem"


def key_path(home: Path, name: str) -> Path:
    return home / "pki" / f"{name.replace('/', '-')}.key"


def load(home: Path, name: str) -> Identity:
    """The identity as `ensure` left it."""
    return Identity(
        name=name,
        ca_pem=ca_path(home).read_bytes(),
        cert_pem=cert_path(home, name).read_bytes(),
        key_pem=key_path(home, name).read_bytes(),
    )


def ensure(home: Path, names: Sequence[str], *, now: datetime | None = None) -> None:
    """Makes the CA and every named certificate that is missing, nearly expired or of another CA."""
    now = now or datetime.now(UTC)
    with _locked(home / "pki"):
        ca_cert, ca_key = _ensure_ca(home, now)
        for name in names:
            if not _stands(home, name, ca_cert, now):
                _issue(home, name, ca_cert, ca_key, now)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: all of them make sure of their certificates when the platform starts."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ensure_ca(home: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key_file = key_path(home, "ca")
    if ca_path(home).exists() and key_file.exists():
        cert = x509.load_pem_x509_certificate(ca_path(home).read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_file} holds no elliptic-curve key")
        if cert.public_key() == key.public_key() and cert.not_valid_after_utc - now > LEAF_LIFE:
            return cert, key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "center development CA")])
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(key_file, _pem(key))
    _write(ca_path(home), cert.public_bytes(serialization.Encoding.PEM))
    return cert, key


def _stands(home: Path, name: str, ca_cert: x509.Certificate, now: datetime) -> bool:
    """Whether the certificate on disk is whole, of this CA, and good for a while."""
    cert_file, key_file = cert_path(home, name), key_path(home, name)
    if not (cert_file.exists() and key_file.exists()):
        return False
    try:
        cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
        cert.verify_directly_issued_by(ca_cert)
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (ValueError, InvalidSignature):
        return False
    # A crash between the two writes leaves a key and a certificate that do not belong together.
    return key.public_key() == cert.public_key() and cert.not_valid_after_utc - now >= RENEW_BEFORE


def _issue(home: Path, name: str, ca_cert: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # gRPC checks the server's name against DNS names: localhost, or the last word of the identity (the cluster's id).
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(uri(name)),
        x509.DNSName("localhost"),
        x509.DNSName(name.rpartition("/")[2]),
        x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
    ]
    cert = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(ca_cert.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write(key_path(home, name), _pem(key))
    _write(cert_path(home, name), cert.public_bytes(serialization.Encoding.PEM))


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and readable by its owner only from the first byte on."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mkstemp makes it 0600
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
