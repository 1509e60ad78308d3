"""Lints: the stacks' and this package's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from stacks import TEMPLATES

PACKAGE = Path(__file__).parents[1]


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]], ids=" ".join)
def test_the_package_is_in_style(arguments: list[str]) -> None:
    run("-m", "ruff", *arguments, "--no-cache", "--quiet", str(PACKAGE))


def test_the_templates_have_no_findings() -> None:
    files = sorted(str(file) for file in TEMPLATES.glob("*.yaml"))
    assert files
    start = "from cfnlint.runner import main; main()"
    run("-c", start, "--include-checks", "I", "--regions", "eu-west-1", "--", *files)


def run(*arguments: str) -> None:
    call = [sys.executable, *arguments]
    finished = subprocess.run(call, capture_output=True, text=True, check=False)  # noqa: S603
    assert finished.returncode == 0, finished.stdout + finished.stderr
