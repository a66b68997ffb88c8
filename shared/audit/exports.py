"""The check of an exported chain: no server, no key, only the certificate of the platform's CA."""

from collections.abc import Iterable, Iterator

from center.shared.v1 import audit_service_pb2 as pb
from shared.audit import messages
from shared.audit.domain import Finding, Walk
from shared.audit.signing import Trust
from shared.runtime.errors import InvalidArgument


def check(parts: Iterable[pb.ExportResponse], ca_pem: bytes) -> Iterator[tuple[Walk, Finding | None]]:
    """Each finding with the walk as far as it is, and the walk at its end.

    InvalidArgument EXPORT_MALFORMED: it does not begin with its chain.
    """
    walk: Walk | None = None
    certificates: dict[str, bytes] = {}
    trust = Trust(ca_pem, {})
    for part in parts:
        match part.WhichOneof("part"):
            case "chain" if walk is None:
                walk = Walk(part.chain.tenant_id, part.chain.after_position, part.chain.after_hash or None)
                continue
            case "signer":
                certificates[part.signer.signer] = part.signer.certificate
                trust = Trust(ca_pem, certificates)
                continue
        if walk is None:
            raise InvalidArgument("EXPORT_MALFORMED", "an export begins with its chain")
        if part.WhichOneof("part") == "link":
            findings = walk.take(*messages.link_from(part.link))
        else:
            seal = messages.seal_from(part.seal)
            findings = walk.seal(seal, is_signed=trust.holds(walk.tenant_id, seal))
        for finding in findings:
            yield walk, finding
    if walk is None:
        raise InvalidArgument("EXPORT_MALFORMED", "an export begins with its chain")
    for finding in walk.end():
        yield walk, finding
    yield walk, None
