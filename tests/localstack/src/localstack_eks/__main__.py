"""Runs LocalStack with the extension: `python -m localstack_eks --folder FOLDER`."""

import argparse
import os
from pathlib import Path


def settings(folder: Path, port: int, kubeconfig: Path | None) -> dict[str, str]:
    """Give the environment in which LocalStack neither asks the internet nor pretends."""
    values = {
        "CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES": "0",
        # A resource is looked at twenty times at once before it is looked at every second.
        "CFN_NO_WAIT_ITERATIONS": "20",
        "DISABLE_EVENTS": "1",
        "DNS_ADDRESS": "0",
        "EAGER_SERVICE_LOADING": "0",
        "FILESYSTEM_ROOT": str(folder / "root"),
        "GATEWAY_LISTEN": f"0.0.0.0:{port}",
        "LOCALSTACK_VOLUME_DIR": str(folder / "volume"),
        # A certificate is issued as soon as it is looked at.
        "MOTO_ACM_VALIDATION_WAIT": "0",
        "PROVIDER_OVERRIDE_CLOUDFORMATION": "strict",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
    }
    if kubeconfig:
        values["EKS_KUBECONFIG"] = str(kubeconfig)
    return values


def main() -> None:
    """Run until a signal ends it."""
    parser = argparse.ArgumentParser(prog="localstack_eks", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where LocalStack keeps files")
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        help="of the cluster that stands for every EKS cluster; read again at every call",
    )
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    for name in ("root", "volume"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    os.environ.update(settings(folder, arguments.port, arguments.kubeconfig))
    # LocalStack reads the environment when it is imported.
    from localstack.runtime.main import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
