#!/bin/bash
# Debian's registry as an image, for a Docker daemon of the machine where no container registry answers.
# Usage: registry-image.sh NAME. Docker is the caller's.
set -eu
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
program=$(command -v docker-registry)
install -D -m755 "$program" "$tree/bin/docker-registry"
ldd "$program" | grep -oE '/[^ ]+' | while read -r library; do install -D -m755 "$library" "$tree$library"; done
mkdir -p "$tree/var/lib/registry" "$tree/etc"
cat >"$tree/etc/registry.yml" <<'END'
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: /var/lib/registry}
  delete: {enabled: true}
http: {addr: "0.0.0.0:5000"}
END
tar -C "$tree" --owner=0 --group=0 -c . |
	docker import --change 'ENTRYPOINT ["/bin/docker-registry", "serve", "/etc/registry.yml"]' - "$1"
