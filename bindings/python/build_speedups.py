"""Compiles the accelerator, `src/mpflags/_speedups.c`, into a folder.

usage: build_speedups.py FOLDER [COMPILER OPTION...]

CC names the compiler and may have options.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "src" / "mpflags" / "_speedups.c"
# Interpreters that cannot load it do not look for this suffix: PyPy, and CPython without a GIL.
MODULE = "_speedups.abi3.so"
OPTIONS = ["-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-pedantic"]


def main() -> None:
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").is_file():
        failed(f"{include} has no Python.h (on Debian: apt-get install python3-dev)")
    compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
    # On macOS the interpreter's symbols are found when it loads the module.
    system = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    module = Path(sys.argv[1], MODULE)
    command = [*compiler, *OPTIONS, *sys.argv[2:], *system, f"-I{include}", str(SOURCE), "-o", str(module)]
    print("+", shlex.join(command), file=sys.stderr, flush=True)
    try:
        done = subprocess.run(command, check=False)
    except OSError as error:
        failed(f"{compiler[0]} does not run: {error.strerror} (on Debian: apt-get install gcc libc6-dev)")
    if done.returncode != 0:
        failed(f"{compiler[0]} ended with {done.returncode}")


def failed(why: str) -> None:
    sys.exit(f"the accelerator cannot be built: {why}")


if __name__ == "__main__":
    main()
