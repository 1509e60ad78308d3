#!/bin/bash
# Root file system of a kind node from Debian's packages. Usage: rootfs.sh OUT.tar
# Debian 12: later versions of systemd have dropped control groups of version 1.
set -eu
packages=systemd,systemd-sysv,dbus,libnss-myhostname,conntrack,iptables,nftables,ipset,iproute2,ethtool,util-linux,mount
packages=$packages,kmod,libseccomp2,e2fsprogs,bash,ca-certificates,curl,jq,procps,hostname,socat,ebtables
packages=$packages,containerd,runc,containernetworking-plugins,iputils-ping
mmdebstrap --variant=minbase --mode=root --format=tar --include="$packages" \
	--aptopt='Apt::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
	bookworm "$1"
