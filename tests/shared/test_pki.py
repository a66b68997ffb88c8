"""Certificates: every identity verifies against the one CA, and ensure() repairs only what does not stand."""

import asyncio
import ssl
import stat
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from shared.runtime import pki

NAMES = ["control", "cluster/eu-1"]


def certificate(home: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pki.load(home, name).cert_pem)


def contents(home: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (home / "pki").iterdir()}


def test_an_identity_carries_its_spiffe_uri_and_local_names(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NAMES)
    names = certificate(tmp_path, "cluster/eu-1").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://center/cluster/eu-1"]
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "eu-1"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_a_second_ensure_changes_nothing(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NAMES)
    before = contents(tmp_path)
    pki.ensure(tmp_path, NAMES)
    assert contents(tmp_path) == before


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NAMES)
    for key in (tmp_path / "pki").glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600, key


def test_a_certificate_near_its_end_is_renewed_and_others_stay(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    long_ago = now - pki.LEAF_LIFE + pki.RENEW_BEFORE - timedelta(minutes=1)
    pki.ensure(tmp_path, ["control"], now=long_ago)
    pki.ensure(tmp_path, ["edge"], now=now)
    old, edge = certificate(tmp_path, "control"), certificate(tmp_path, "edge")
    pki.ensure(tmp_path, ["control", "edge"], now=now)
    assert certificate(tmp_path, "control").not_valid_after_utc - old.not_valid_after_utc > timedelta(days=59)
    assert certificate(tmp_path, "edge") == edge


def test_a_key_without_its_certificate_is_made_anew(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NAMES)
    other = tmp_path / "other"
    pki.ensure(other, ["control"])
    pki.key_path(tmp_path, "control").write_bytes(pki.key_path(other, "control").read_bytes())
    pki.cert_path(tmp_path, "cluster/eu-1").write_bytes(b"half a fi")
    pki.ensure(tmp_path, NAMES)
    for name in NAMES:
        pki_context(tmp_path, name, ssl.PROTOCOL_TLS_CLIENT)


def test_certificates_of_another_ca_are_replaced(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NAMES)
    old = certificate(tmp_path, "control")
    pki.ca_path(tmp_path).unlink()
    pki.ensure(tmp_path, NAMES)
    assert certificate(tmp_path, "control") != old


def test_processes_that_start_together_agree_on_one_ca(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(pki.ensure, [tmp_path] * 8, [NAMES] * 8))
    ca = x509.load_pem_x509_certificate(pki.ca_path(tmp_path).read_bytes())
    for name in NAMES:
        certificate(tmp_path, name).verify_directly_issued_by(ca)


def pki_context(home: Path, name: str, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.load_cert_chain(pki.cert_path(home, name), pki.key_path(home, name))
    context.load_verify_locations(pki.ca_path(home))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_two_identities_speak_mutual_tls(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NAMES)
    seen: list[object] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peercert")["subjectAltName"][0])
        writer.close()

    server = await asyncio.start_server(
        serve, "127.0.0.1", 0, ssl=pki_context(tmp_path, "control", ssl.PROTOCOL_TLS_SERVER)
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=pki_context(tmp_path, "cluster/eu-1", ssl.PROTOCOL_TLS_CLIENT)
        )
        await reader.read()
        writer.close()
    assert seen == [("URI", "spiffe://center/cluster/eu-1")]
