"""What shows that a process of this platform wrote an audit entry: a mark that the database has no key for.

key: `audit` of shared.runtime.keys.
"""

import hmac
from collections.abc import Sequence


def proof(
    key: bytes,
    *,
    id: str,
    tenant_id: str,
    method: str,
    caller: str,
    resource: str,
    resource_id: str,
    reason: str,
    trace_id: str,
    request_id: str,
    changes: Sequence[Sequence[str]],
    revision: int = 0,
) -> bytes:
    """tenant_id: empty for what concerns no tenant."""
    said = (id, tenant_id, method, caller, resource, resource_id, reason, str(revision), trace_id, request_id)
    return hmac.digest(key, joined(*said, *(part for change in changes for part in change)), "sha256")


def joined(*parts: str) -> bytes:
    """Lengths first: no two lists of texts read the same."""
    encoded = [part.encode() for part in parts]
    return b"".join([len(part).to_bytes(4, "big") + part for part in encoded])
