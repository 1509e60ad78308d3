#!/bin/bash
# Tree + Kubernetes + the images that a node holds = the node image.
# Usage: image.sh TREE IMAGES.tar MANIFESTS NAME; BIN_KUBE, KUBERNETES. Docker is the caller's.
set -eu
tree=$1 images=$2 manifests=$3 name=$4
install -m755 "$BIN_KUBE" "$tree/usr/bin/kube"
for program in kubeadm kubelet kubectl; do ln -sf kube "$tree/usr/bin/$program"; done
printf %s "$KUBERNETES" >"$tree/kind/version"
cp "$manifests"/*.yaml "$tree/kind/manifests/"
tar -C "$tree" -c . | docker import --change 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]' \
	--change 'ENV container=docker' - "$name-base" >/dev/null
container=fastapi-eks-node-build
docker rm -fv "$container" >/dev/null 2>&1 || true
trap 'docker rm -fv "$container" >/dev/null 2>&1' EXIT
docker run -d --name "$container" --privileged --entrypoint sleep "$name-base" infinity >/dev/null
docker exec -d "$container" containerd
for _ in $(seq 100); do
	docker exec "$container" ctr version >/dev/null 2>&1 && break
	sleep 0.2
done
docker exec -i "$container" ctr -n k8s.io images import --no-unpack - <"$images"
docker exec "$container" ctr -n k8s.io images ls -q
docker exec "$container" sh -c 'kill $(pidof containerd); sleep 1; rm -rf /var/lib/containerd/io.containerd.snapshotter* /run/containerd'
docker commit --change 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]' "$container" "$name" >/dev/null
