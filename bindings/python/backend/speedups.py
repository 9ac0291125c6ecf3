"""Compiles the accelerator, `src/mpflags/_speedups.c`, into a folder.

usage: speedups.py FOLDER [COMPILER OPTION...]

CC names the compiler and may have options.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "mpflags" / "_speedups.c"
# Interpreters that cannot load it do not look for this suffix: PyPy, and CPython without a GIL.
MODULE = "_speedups.abi3.so"
OPTIONS = ("-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-pedantic")


class CannotBuildError(Exception):
    """The message says why."""


def build(into: Path, zig_target: "str | None" = None, options: "tuple[str, ...]" = ()) -> Path:
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").is_file():
        raise CannotBuildError(f"{include} has no Python.h (on Debian: apt-get install python3-dev)")
    module = into / MODULE
    # On macOS the interpreter's symbols are found when it loads the module.
    system = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()
    command = [*_compiler(zig_target), *OPTIONS, *options, *system, f"-I{include}", str(SOURCE), "-o", str(module)]
    print("+", *command, file=sys.stderr, flush=True)
    try:
        done = subprocess.run(command, check=False)
    except OSError as error:
        raise CannotBuildError(f"{command[0]} does not run: {error.strerror}") from None
    if done.returncode != 0:
        raise CannotBuildError(f"{command[0]} ended with {done.returncode}")
    return module


def _compiler(zig_target: "str | None") -> "list[str]":
    if zig_target is None:
        return shlex.split(os.environ.get("CC", "")) or ["cc"]
    # Rust's name of a target has a vendor, zig's has none.
    return ["cargo-zigbuild", "zig", "cc", "--", "-target", zig_target.replace("-unknown", "")]


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]), options=tuple(sys.argv[2:]))
    except CannotBuildError as error:
        sys.exit(f"the accelerator cannot be built: {error}")
