"""kind's own network and storage manifests, out of its Go module, with the names of our images.

Usage: manifests.py KIND_MODULE OUT_FOLDER
"""

import pathlib
import re
import sys


def constant(source: str, name: str) -> str:
    """Gives a Go raw string; what is spliced into it becomes `@variable@`."""
    spliced = re.sub(r"` \+ (\w+) \+ `", r"@\1@", source)
    found = re.search(rf"const {name} = `\n(.*?)\n`\n", spliced + "\n", re.S)
    if found is None:
        raise SystemExit(f"kind's module has no constant {name}")
    return found.group(1) + "\n"


def main(module: pathlib.Path, out: pathlib.Path) -> None:
    """Writes both manifests."""
    folder = module / "pkg/build/nodeimage"
    storage = constant((folder / "const_storage.go").read_text(), "defaultStorageManifest")
    storage = storage.replace("@storageProvisionerImage@", "docker.io/kindest/local-path-provisioner:local")
    storage = storage.replace("@storageHelperImage@", "docker.io/kindest/local-path-helper:local")
    network = constant((folder / "const_cni.go").read_text(), "defaultCNIManifest")
    network = network.replace("@kindnetdImage@", "docker.io/kindest/node-network:local")
    # Only kindnetd's NetworkPolicies need the runtime's plug-in interface.
    network = network.replace("        - name: nri-plugin\n          mountPath: /var/run/nri\n", "")
    network = network.replace("      - name: nri-plugin\n        hostPath:\n          path: /var/run/nri\n", "")
    for name, text in (("default-storage.yaml", storage), ("default-cni.yaml", network)):
        if left := re.findall("@[a-zA-Z]+@", text):
            raise SystemExit(f"{name}: something is not filled in: {left}")
        (out / name).write_text(text)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
