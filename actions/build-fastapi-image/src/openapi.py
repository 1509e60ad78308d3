"""Prints the OpenAPI document of an application: module, attribute, whether it is a factory."""

import json
import os
import sys
import traceback
from importlib import import_module

module, attribute, factory = sys.argv[1:]
# What the application prints while it is imported is not the document.
document = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
try:
    app = getattr(import_module(module), attribute)
    if factory == "factory":
        app = app()
    text = json.dumps(app.openapi(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
except BaseException as error:
    lines = traceback.format_exception_only(type(error), error)
    sys.stdout.flush()
    os.write(2, ("\n" + " ".join("".join(lines).split()) + "\n").encode())
    os._exit(1)
with document:
    document.write(text)
os._exit(0)
