#!/bin/bash
# The images that a node holds from the start, made by `docker import` and saved as one archive.
# Usage: images.sh WORK OUT.tar; BIN_* = the programs. Docker is the caller's (DOCKER_HOST).
set -eu
work=$1
out=$2
here=$(cd "$(dirname "$0")" && pwd)
version=$KUBERNETES
rm -rf "$work"
mkdir -p "$work"
names=()

# image NAME TREE [CHANGE...]: a tree becomes an image
image() {
	local name=$1 tree=$2 changes=()
	shift 2
	mkdir -p "$tree"
	for change in 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' "$@"; do
		changes+=(--change "$change")
	done
	tar -C "$tree" --owner=0 --group=0 -c . | docker import "${changes[@]}" - "$name" >/dev/null
	names+=("$name")
}
program() { install -D -m755 "$2" "$work/$1/$3"; }
temporary() { install -d -m1777 "$work/$1/tmp"; }

mkdir -p "$work/pause"
gcc -Os -static -s -o "$work/pause/pause" "$here/pause.c"
image registry.k8s.io/pause:3.10.1 "$work/pause" 'ENTRYPOINT ["/pause"]' 'USER 65535:65535'
docker tag registry.k8s.io/pause:3.10.1 registry.k8s.io/pause:3.10
names+=(registry.k8s.io/pause:3.10)

# One program answers to all four names; kube-proxy's tools are the tree.
bash "$here/proxy-tree.sh" "$work/kube"
program kube "$BIN_KUBE" usr/local/bin/kube
for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
	ln -s kube "$work/kube/usr/local/bin/$name"
done
image "registry.k8s.io/kube-apiserver:$version" "$work/kube"
for name in kube-controller-manager kube-scheduler kube-proxy; do
	docker tag "registry.k8s.io/kube-apiserver:$version" "registry.k8s.io/$name:$version"
	names+=("registry.k8s.io/$name:$version")
done

program etcd "$BIN_ETCD" usr/local/bin/etcd
program etcd "$BIN_ETCDCTL" usr/local/bin/etcdctl
temporary etcd
mkdir -p "$work/etcd/var/lib/etcd"
image registry.k8s.io/etcd:3.6.6-0 "$work/etcd"

program coredns "$BIN_COREDNS" coredns
temporary coredns
image registry.k8s.io/coredns/coredns:v1.13.1 "$work/coredns" 'ENTRYPOINT ["/coredns"]'

program network "$BIN_NODE_NETWORK" node-network
image docker.io/kindest/node-network:local "$work/network" 'ENTRYPOINT ["/node-network"]'

program provisioner "$BIN_LOCAL_PATH_PROVISIONER" usr/local/bin/local-path-provisioner
temporary provisioner
image docker.io/kindest/local-path-provisioner:local "$work/provisioner" 'ENTRYPOINT ["local-path-provisioner"]'

program helper /bin/busybox bin/busybox
for name in $(/bin/busybox --list); do
	[ "$name" = busybox ] || ln -s busybox "$work/helper/bin/$name"
done
temporary helper
image docker.io/kindest/local-path-helper:local "$work/helper" 'CMD ["sh"]'

docker save -o "$out" "${names[@]}"
docker image rm "${names[@]}" >/dev/null
rm -rf "$work"
