"""Runs a program of tests/programs in a new interpreter."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

PROGRAMS = pathlib.Path(__file__).parent / "programs"

#: Where the interpreter finds the package.
SOURCES = {"PYTHONPATH": str(PROGRAMS.parent.parent / "src")}

#: The interpreter in its normal and in its development mode, with warnings, allocator checks and the fault handler.
INTERPRETERS = [pytest.param([], id="plain"), pytest.param(["-X", "dev"], id="dev")]
# Python 3.12 warns about every fork of a process with threads, even native ones. These tests do exactly that.
OF_FORKS = ["-W", "ignore:This process:DeprecationWarning"]


def run(
    name: str, *arguments: str, flags: list[str] | None = None, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *(flags or []), str(PROGRAMS / name), *arguments],
        env={**os.environ, **SOURCES, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
