#!/usr/bin/python3
"""Prepares a member's directory, certificate and patroni.yml, then becomes Patroni."""

import fcntl
import os
import subprocess
import sys
import time

import yaml

import contract

CONFIGURATION = f"{contract.RUN_DIRECTORY}/patroni.yml"
MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
UNLIMITED = 1 << 50


def log(message):
    print(time.strftime("%Y-%m-%d %H:%M:%S"), "entrypoint:", message, flush=True)


def memory_bytes():
    """The container's memory limit, or the machine's memory where there is none."""
    for path in MEMORY_LIMITS:
        try:
            with open(path, encoding="ascii") as file:
                limit = int(file.read())
        except (OSError, ValueError):
            continue
        if limit < UNLIMITED:
            return limit
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def lock_volume(root):
    """Waits until no other container uses the volume, and keeps it for this one.

    After a forced deletion the next pod of the same name can start while the
    old one is still dying, on the same node and directory. The lock belongs
    to process 1 and ends with it, which ends the whole container.
    """
    lock = os.open(os.path.join(root, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log("the volume is still in use by another container: waiting")
        fcntl.flock(lock, fcntl.LOCK_EX)
    # Kept open when this program becomes Patroni; Patroni's children close it.
    os.set_inheritable(lock, True)


def ensure_certificate(environment):
    """Makes a self-signed certificate where the manifest names none."""
    certificate, key = contract.certificate_files(environment)
    if contract.value(environment, "SSL_PRIVATE_KEY_FILE") or os.path.exists(key):
        return
    os.makedirs(os.path.dirname(key), mode=0o700, exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-nodes", "-new", "-x509", "-newkey", "ec"]
        + ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "3650"]
        + ["-subj", f"/CN={environment['SCOPE']}", "-out", certificate, "-keyout", key],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def main():
    os.umask(0o077)
    with open("/etc/pg-major", encoding="ascii") as file:
        major = file.read().strip()
    settings, remarks = contract.configuration(os.environ, major, memory_bytes())
    for remark in remarks:
        log(remark)
    root = contract.Member(os.environ, major).root
    os.makedirs(root, mode=0o700, exist_ok=True)
    lock_volume(root)
    ensure_certificate(os.environ)
    with open(CONFIGURATION, "w", encoding="utf-8") as file:
        yaml.safe_dump(settings, file, sort_keys=False)
    os.environ["PGHOST"] = contract.RUN_DIRECTORY
    os.environ["PGUSER"] = settings["postgresql"]["authentication"]["superuser"]["username"]
    os.chdir("/home/postgres")
    log("starting Patroni")
    # Not `python3 -m patroni`: as process 1 Patroni starts itself again by
    # argv[0], and its own `collections` module would then hide Python's.
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "/usr/bin/patroni", CONFIGURATION])


if __name__ == "__main__":
    sys.exit(main())
