"""Who signs seals: a plane's own identity; who checks them: anyone with the platform's CA.

Clusters have homes of their own, and a tenant that moves takes its chain along. So a seal is signed with the key of the
certificate that its process shows over mutual TLS, and the certificate goes with the chain: what one cluster sealed
verifies at the next, and in an export far from both, by the CA that all of them have.
"""

from collections.abc import Mapping
from dataclasses import replace

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.audit.domain import Seal, statement
from shared.runtime.pki import TRUST_DOMAIN, Identity

_ALGORITHM = ec.ECDSA(hashes.SHA256())


class Signer:
    def __init__(self, identity: Identity) -> None:
        key = serialization.load_pem_private_key(identity.key_pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"the key of {identity.name} is no elliptic-curve key")
        certificate = x509.load_pem_x509_certificate(identity.cert_pem)
        self._key = key
        self.certificate = certificate.public_bytes(serialization.Encoding.DER)
        self.name = certificate.fingerprint(hashes.SHA256()).hex()

    def signed(self, tenant_id: str, seal: Seal) -> Seal:
        seal = replace(seal, signer=self.name)
        return replace(seal, signature=self._key.sign(statement(tenant_id, seal), _ALGORITHM))


class Trust:
    """Checks seals of one chain by the certificates that go with it."""

    def __init__(self, ca_pem: bytes, certificates: Mapping[str, bytes]) -> None:
        self._ca = x509.load_pem_x509_certificate(ca_pem)
        self._keys = {name: key for name, der in certificates.items() if (key := self._key(name, der)) is not None}

    def holds(self, tenant_id: str, seal: Seal) -> bool:
        if (key := self._keys.get(seal.signer)) is None:
            return False
        try:
            key.verify(seal.signature, statement(tenant_id, seal), _ALGORITHM)
        except InvalidSignature:
            return False
        return True

    def _key(self, name: str, der: bytes) -> ec.EllipticCurvePublicKey | None:
        """The certificate's key, if it is a plane's of this platform. That it has expired since is no matter."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            certificate.verify_directly_issued_by(self._ca)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return None
        key = certificate.public_key()
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        is_ours = any(uri == f"spiffe://{TRUST_DOMAIN}/control" or uri.startswith(_CLUSTER) for uri in uris)
        is_meant = certificate.fingerprint(hashes.SHA256()).hex() == name
        return key if is_ours and is_meant and isinstance(key, ec.EllipticCurvePublicKey) else None


_CLUSTER = f"spiffe://{TRUST_DOMAIN}/cluster/"
