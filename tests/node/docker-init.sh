#!/bin/bash
# First process of the Docker daemon's own mount, network and process namespaces.
set -eu
mount --make-rshared /
# What dockerd keeps at fixed places ends with it.
for folder in /run/docker /run/containerd; do
	mkdir -p "$folder"
	mount -t tmpfs tmpfs "$folder"
done
ip link set lo up
for _ in $(seq 200); do
	ip link show eth0 >/dev/null 2>&1 && break
	sleep 0.05
done
ip addr add "$ADDRESS/24" dev eth0
ip link set eth0 up
sysctl -qw net.ipv4.ip_forward=1
rm -f "$RUN/docker.pid" "$RUN/docker.sock"
rm -rf "$RUN/exec"
dockerd --config-file "$RUN/daemon.json" >"$RUN/dockerd.log" 2>&1 &
wait
