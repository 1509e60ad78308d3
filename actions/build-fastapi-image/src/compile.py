"""Compiles the modules below a folder, each package by a process of its own.

What Python writes for a module depends on more than its source: on the names that were seen before
in the process, and on who holds the code (python/cpython#129724, #98819). So each package starts
from the same state, that of this process, and is compiled in order.
"""

import os
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from marshal import dumps

folder, shown, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
# Python takes the file as it is: nobody changes a source in an image.
UNCHECKED_HASH = (0b01).to_bytes(4, "little")


def files(below=""):
    with os.scandir(os.path.join(folder, below)) as entries:
        entries = sorted(entries, key=lambda entry: entry.name)
    for entry in entries:
        path = below + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from files(path + "/")
        elif entry.is_file(follow_symlinks=False):
            yield path


def owners(paths):
    """Pairs each file of an installed package with its list of files."""
    for path in paths:
        if path.endswith(".dist-info/RECORD"):
            with open(os.path.join(folder, path), encoding="utf-8") as lines:
                for line in lines:
                    yield line.rsplit(",", 2)[0].strip('"'), path


def compile_module(path):
    with open(os.path.join(folder, path), "rb") as file:
        source = file.read()
    try:
        code = compile(source, f"{shown}/{path}", "exec", dont_inherit=True, optimize=0)
    except MemoryError:
        # Says nothing about the module: the next build would get on.
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        os.write(1, f"{path}: {type(error).__name__}: {reason}\n".encode())
        return
    # Held twice, whatever a version of Python does with its variables.
    held = [code]
    target = cache_from_source(os.path.join(folder, path), optimization="")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.exists(target):
        # A package may bring one, and that file may be the cache's.
        os.unlink(target)
    with open(target, "wb") as file:
        file.write(MAGIC_NUMBER + UNCHECKED_HASH + source_hash(source) + dumps(held[0]))


def wait():
    _, status = os.wait()
    if status:
        sys.exit(f"a compiler ended with status {status}")


paths = list(files())
owner = dict(owners(paths))
modules = [path for path in paths if path.endswith(".py")]
packages = {}
for path in modules:
    packages.setdefault(owner.get(path, path.split("/")[0]), []).append(path)

running = 0
# The largest first: the order decides how long it takes, and nothing else.
for package in sorted(packages.values(), key=len, reverse=True):
    if running == workers:
        wait()
        running -= 1
    if os.fork() == 0:
        for path in package:
            compile_module(path)
        os._exit(0)
    running += 1
for _ in range(running):
    wait()
print(len(modules))
