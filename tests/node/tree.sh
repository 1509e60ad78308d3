#!/bin/bash
# Unpacked root file system + kind's own base files = the tree of a node.
# Usage: tree.sh ROOTFS.tar FOLDER; KIND = kind's Go module, RUNCWRAP = the runtime wrapper,
# REGISTRY = where the nodes find images.
set -eu
tree=$2
files=$KIND/images/base/files
mkdir -p "$tree"
tar -C "$tree" --exclude='./dev/*' -xf "$1"
cd "$tree"
mkdir -p kind/bin kind/manifests etc/containerd etc/kubernetes/manifests opt/cni/bin LICENSES \
	etc/systemd/system/kubelet.service.d etc/systemd/system/multi-user.target.wants usr/local/bin usr/local/sbin
install -D -m755 "$files/usr/local/bin/entrypoint" usr/local/bin/entrypoint
install -m755 "$files"/kind/bin/* kind/bin/
install -m644 "$files"/etc/sysctl.d/* etc/sysctl.d/
install -m644 "$files/etc/default/kubelet" etc/default/
for unit in containerd.service kubelet.service kubelet.slice undo-mount-hacks.service; do
	install -m644 "$files/etc/systemd/system/$unit" etc/systemd/system/
done
install -m644 "$files"/etc/systemd/system/kubelet.service.d/* etc/systemd/system/kubelet.service.d/
ln -sf /usr/bin/containerd usr/local/bin/containerd
# The wrapper runs /usr/sbin/runc and asks only for capabilities that the machine can give.
install -m755 "$RUNCWRAP" usr/local/sbin/runc
cp usr/lib/cni/* opt/cni/bin/

# Only what a node needs is started.
find lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f lib/systemd/system/multi-user.target.wants/* etc/systemd/system/*.wants/* \
	lib/systemd/system/local-fs.target.wants/* lib/systemd/system/sockets.target.wants/*udev* \
	lib/systemd/system/sockets.target.wants/*initctl* lib/systemd/system/basic.target.wants/*
for unit in kubelet containerd undo-mount-hacks; do
	ln -sf "/etc/systemd/system/$unit.service" "etc/systemd/system/multi-user.target.wants/$unit.service"
done
for unit in systemd-binfmt.service systemd-udevd.service getty.target console-getty.service; do
	ln -sf /dev/null "etc/systemd/system/$unit"
done
echo ReadKMsg=no >>etc/systemd/journald.conf
[ -e usr/sbin/init ] || ln -s /lib/systemd/systemd usr/sbin/init
: >etc/machine-id

# containerd: kind's settings, with the images' true pause tag, Debian's network plug-ins, no
# oom_score_adj below our own, and the run's registry in front of the upstream ones.
sed -e 's#sandbox_image = .*#sandbox_image = "registry.k8s.io/pause:3.10.1"#' \
	-e 's#restrict_oom_score_adj = false#restrict_oom_score_adj = true#' \
	-e 's#discard_unpacked_layers = true#discard_unpacked_layers = false#' \
	"$files/etc/containerd/config.toml" >etc/containerd/config.toml
cat >>etc/containerd/config.toml <<'END'
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
  conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
END
for host in docker.io ghcr.io quay.io registry.k8s.io "localhost:5000"; do
	mkdir -p "etc/containerd/certs.d/$host"
	cat >"etc/containerd/certs.d/$host/hosts.toml" <<END
server = "http://$REGISTRY"
[host."http://$REGISTRY"]
  capabilities = ["pull", "resolve"]
END
done
ctr oci spec | jq 'del(.process.rlimits)' >etc/containerd/cri-base.json
