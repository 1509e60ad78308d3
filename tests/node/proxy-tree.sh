#!/bin/bash
# What kube-proxy calls (iptables in both forms, nft, conntrack, ip) with its libraries.
# Usage: proxy-tree.sh FOLDER
set -eu
tree=$1
libraries=$tree/usr/lib/x86_64-linux-gnu
mkdir -p "$tree"/usr/{sbin,bin,lib64} "$tree"/{run,tmp,var,etc/alternatives} "$libraries/xtables"
ln -s usr/lib "$tree/lib"
ln -s usr/sbin "$tree/sbin"
ln -s usr/bin "$tree/bin"
ln -s usr/lib64 "$tree/lib64"
cp -a /usr/sbin/xtables-nft-multi /usr/sbin/xtables-legacy-multi /usr/sbin/nft /usr/sbin/conntrack "$tree/usr/sbin/"
cp -aL "$(command -v ip)" "$tree/usr/bin/ip"
cp -aL /bin/kmod "$tree/usr/bin/kmod"
cp -aL /bin/busybox "$tree/usr/bin/busybox"
for name in sh cat ls sleep mkdir rm; do ln -s busybox "$tree/usr/bin/$name"; done
ln -s ../bin/kmod "$tree/usr/sbin/modprobe"
for family in iptables ip6tables; do
	for end in "" -save -restore; do
		ln -s xtables-nft-multi "$tree/usr/sbin/$family$end"
		ln -s xtables-nft-multi "$tree/usr/sbin/$family-nft$end"
		ln -s xtables-legacy-multi "$tree/usr/sbin/$family-legacy$end"
	done
done
cp -aL /usr/lib/x86_64-linux-gnu/xtables/* "$libraries/xtables/"
for program in "$tree"/usr/sbin/xtables-*-multi "$tree/usr/sbin/nft" "$tree/usr/sbin/conntrack" \
	"$tree/usr/bin/ip" "$tree/usr/bin/kmod" "$libraries"/xtables/*.so; do
	ldd "$program" 2>/dev/null || true
done | grep -oE '/[^ ]+' | sort -u | while read -r library; do
	case $library in
	/lib64/*) cp -aL "$library" "$tree/usr/lib64/" ;;
	*) cp -aL "$library" "$libraries/" ;;
	esac
done
chroot "$tree" /usr/sbin/iptables --version
