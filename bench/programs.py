"""Builds what bench/run.py and bench/instructions run: the library, mpflags-dev, the C programs and the workload."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import workload

ROOT = Path(__file__).resolve().parent.parent
# The benchmarks write everything here.
OUT = ROOT / "build" / "bench"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
SOURCES = ROOT / "bench" / "c"


def cargo(*arguments):
    command = ["cargo", *arguments, "-j2"]
    try:
        subprocess.run(command, cwd=ROOT, check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench: {' '.join(command)} exited with {error.returncode}")


def library(*packages):
    """Builds the library and `packages`, copies the library, so that another build cannot disturb a run, and writes the workload."""
    # One at a time: built together they would share features, and the library would differ from the released one.
    for package in ("mpflags-c", *packages):
        cargo("build", "--release", "-p", package)
    workload.write(OUT)
    (OUT / "lib").mkdir(parents=True, exist_ok=True)
    # Under its SONAME, which the loader looks for.
    built = OUT / "lib" / "libmpflags.so.0"
    shutil.copyfile(TARGET / "release" / "libmpflags.so", built)
    return built


def old(library):
    """Copies another build of the library into a folder of its own, and returns the folder: with that in LD_LIBRARY_PATH, the
    programs run with it."""
    folder = OUT / "old"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(library, folder / "libmpflags.so.0")
    return folder


def program(name):
    """Compiles bench/c/NAME.c against the copy of the library."""
    (OUT / "bin").mkdir(parents=True, exist_ok=True)
    built = OUT / "bin" / name
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]
    command += [str(SOURCES / f"{name}.c"), "-o", str(built), str(OUT / "lib" / "libmpflags.so.0")]
    command += ["-Wl,-rpath,$ORIGIN/../lib", "-pthread"]
    subprocess.run(command, check=True)
    return built


def server():
    """Copies mpflags-dev."""
    (OUT / "bin").mkdir(parents=True, exist_ok=True)
    return shutil.copy(TARGET / "release" / "mpflags-dev", OUT / "bin" / "mpflags-dev")


def rustc():
    return subprocess.run(["rustc", "-V"], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
