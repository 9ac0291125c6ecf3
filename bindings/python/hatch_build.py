"""Puts the library and the accelerator into a wheel. Both are built on this machine, unless the environment says otherwise.

| environment | effect |
| --- | --- |
| `MPFLAGS_PREBUILT_LIBRARY` | the path of a library to put into the wheel as it is, instead of building one with cargo |
| `MPFLAGS_SPEEDUPS` | `1`: fail without the accelerator; `0`: leave it out; by default it is left out if it cannot be built |
| `MPFLAGS_PLATFORM_TAG` | the wheel's platform tag, such as `manylinux_2_17_x86_64`; by default this machine's |
| `CC` | the C compiler, with options if it needs them; `cc` by default |
| `CARGO`, `CARGO_TARGET_DIR` | as for cargo |
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

LIBRARY = "libmpflags.dylib" if sys.platform == "darwin" else "libmpflags.so"
SPEEDUPS = "_speedups.abi3.so"


class Native(BuildHookInterface):
    """hatchling calls `initialize` before it writes an archive."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            # LICENSE is a link to the repository's, and would stay one. hatchling adds git's file, which nothing here uses.
            files = build_data["force_include"].items()
            build_data["force_include"] = {os.path.realpath(file): name for file, name in files if name != ".gitignore"}
        elif version != "editable":
            # Removed with this object, after the archive is written.
            self.folder = TemporaryDirectory()
            files = [self.library(), self.speedups()]
            build_data["force_include"].update({str(file): f"mpflags/{file.name}" for file in files if file})
            build_data["pure_python"] = False
            # Not `cp310-abi3`, although the accelerator is: PyPy and CPython without a GIL, which do not load it, use ctypes.
            build_data["tag"] = f"py3-none-{os.environ.get('MPFLAGS_PLATFORM_TAG') or this_platform()}"

    def library(self) -> Path:
        prebuilt = os.environ.get("MPFLAGS_PREBUILT_LIBRARY")
        if prebuilt:
            if not os.path.isfile(prebuilt):
                self.app.abort(f"MPFLAGS_PREBUILT_LIBRARY is {prebuilt!r}, which is not a file")
            return Path(prebuilt)
        # The source distribution contains the workspace that is two folders up in the repository.
        rust = Path(self.root, "rust")
        if not rust.is_dir():
            rust = Path(self.root).parents[1]
        cargo = os.environ.get("CARGO", "cargo")
        if shutil.which(cargo) is None:
            needed = re.search(r'^rust-version = "(.*)"', (rust / "Cargo.toml").read_text(), re.MULTILINE)[1]
            self.app.abort(
                f"mpflags is built with Rust {needed} or newer, and {cargo} was not found: install Rust (https://rustup.rs), or"
                " install a wheel instead of the sources, or set MPFLAGS_PREBUILT_LIBRARY to a library"
            )
        compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
        if shutil.which(compiler[0]) is None:
            self.app.abort(
                f"mpflags is built with a C compiler, and {compiler[0]} was not found (on Debian: apt-get install gcc libc6-dev)"
            )
        target = Path(os.environ.get("CARGO_TARGET_DIR") or rust / "target").resolve()
        command = [cargo, "build", "--release", "--locked", "-p", "mpflags-c", "--lib", "--target-dir", str(target)]
        self.app.display_info(shlex.join(command))
        if status := subprocess.run(command, cwd=rust, check=False).returncode:
            self.app.abort(f"{cargo} ended with {status}")
        library = Path(self.folder.name, LIBRARY)
        shutil.copy(target / "release" / LIBRARY, library)
        # The debug symbols are most of the file. Where cargo can link, there is a strip.
        if strip := shutil.which("strip") or shutil.which("llvm-strip"):
            subprocess.run([strip, "-x", library], check=True)
        return library

    def speedups(self) -> Path | None:
        wanted = os.environ.get("MPFLAGS_SPEEDUPS")
        if wanted == "0":
            return None
        command = [sys.executable, str(Path(self.root, "build_speedups.py")), self.folder.name]
        if subprocess.run(command, check=False).returncode == 0:
            return Path(self.folder.name, SPEEDUPS)
        if wanted == "1":
            self.app.abort("the accelerator is missing, and MPFLAGS_SPEEDUPS is 1")
        self.app.display_warning("mpflags is built without its accelerator, and evaluates slower")
        return None


def this_platform() -> str:
    # Built here, the library may need what only this machine has: manylinux and musllinux would promise more.
    return next(tag for tag in platform_tags() if not tag.startswith(("manylinux", "musllinux")))
