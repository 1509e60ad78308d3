"""The API server that stands behind every EKS cluster: the one that a kubeconfig names."""

import base64
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

VARIABLE = "EKS_KUBECONFIG"
"""Where the kubeconfig is. It is read at each call, because the cluster may come and go."""


@dataclass(frozen=True)
class ApiServer:
    """Where a control plane answers, and who vouches for it."""

    endpoint: str
    authority: str
    """The certificate authority, in base64."""


def find() -> ApiServer | None:
    """Read the kubeconfig; without one nothing answers behind an EKS cluster."""
    name = os.environ.get(VARIABLE)
    if not name or not Path(name).exists():
        return None
    return read(Path(name))


def read(file: Path) -> ApiServer:
    """Read the cluster of a kubeconfig's current context."""
    config = yaml.safe_load(file.read_text())
    current = config["current-context"]
    context = next(entry["context"] for entry in config["contexts"] if entry["name"] == current)
    wanted = context["cluster"]
    cluster = next(entry["cluster"] for entry in config["clusters"] if entry["name"] == wanted)
    authority = cluster.get("certificate-authority-data")
    if authority is None:
        path = file.parent / cluster["certificate-authority"]
        authority = base64.b64encode(path.read_bytes()).decode()
    return ApiServer(cluster["server"], authority)


@cache
def nobody() -> str:
    """Make an authority that has signed nothing, for clusters behind which nothing answers."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes")])
    start = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.PEM)).decode()
