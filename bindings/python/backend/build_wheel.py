"""The build backend: runs cargo and puts the library and the accelerator into the wheel. Uses only the standard library.

| environment | effect |
| --- | --- |
| `MPFLAGS_PREBUILT_LIBRARY` | the path of a `libmpflags.so` to put into the wheel, instead of building one |
| `MPFLAGS_SPEEDUPS` | `1`: fail without the accelerator; `0`: leave it out; by default it is left out if it cannot be built |
| `MPFLAGS_ZIG_TARGET` | a target for `cargo zigbuild --target`, such as `x86_64-unknown-linux-gnu.2.17` |
| `MPFLAGS_PLATFORM_TAG` | the wheel's platform tag, such as `manylinux2014_x86_64`; by default the interpreter's |
| `CARGO`, `CARGO_TARGET_DIR` | as for cargo |
"""

import base64
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path

import speedups

try:
    import tomllib
except ImportError:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent.parent
# In the repository the workspace is two folders up; the source distribution contains it.
RUST = HERE / "rust" if (HERE / "rust").is_dir() else HERE.parent.parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = f"{PROJECT['name']}-{PROJECT['version']}"
LIBRARY = "libmpflags.dylib" if sys.platform == "darwin" else "libmpflags.so"
# What cargo needs from the workspace: everything that a manifest names, even if it is not built.
SOURCES = (
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "include/mpflags.h",
    "src/**/*.rs",
    "bench/core.rs",
    "examples/**/*.rs",
    "tests/**/*.rs",
    "bindings/c/Cargo.toml",
    "bindings/c/build.rs",
    "bindings/c/src/**/*.rs",
    "dev/Cargo.toml",
    "dev/src/**/*.rs",
)
PACKAGE = (
    "pyproject.toml",
    "README.md",
    "backend/*.py",
    "src/mpflags/*.py",
    "src/mpflags/_speedups.*[ci]",
    "src/mpflags/py.typed",
    "examples/*",
)


class BuildError(SystemExit):
    """The wheel cannot be built. The message says what to do; pip prints it without a traceback."""


# -- the library


def _cargo() -> str:
    cargo = os.environ.get("CARGO", "cargo")
    if shutil.which(cargo) is None:
        raise BuildError(
            f"mpflags is built with Rust 1.95 or newer, and {cargo} was not found: install Rust (https://rustup.rs), or install"
            " a wheel instead of the sources, or set MPFLAGS_PREBUILT_LIBRARY to a libmpflags.so"
        )
    return cargo


def _build_library(into: Path) -> Path:
    prebuilt = os.environ.get("MPFLAGS_PREBUILT_LIBRARY")
    if prebuilt:
        built = Path(prebuilt)
        if not built.is_file():
            raise BuildError(f"MPFLAGS_PREBUILT_LIBRARY names {prebuilt!r}, which is no file")
    else:
        cargo = _cargo()
        zig = os.environ.get("MPFLAGS_ZIG_TARGET")
        target = Path(os.environ.get("CARGO_TARGET_DIR") or RUST / "target").resolve()
        command = [cargo, "zigbuild" if zig else "build", "--release", "--locked", "-p", "mpflags-c", "--lib"]
        command += ["--jobs", os.environ.get("MPFLAGS_JOBS", str(os.cpu_count() or 1))]
        command += ["--target", zig] if zig else []
        _run(command, cwd=RUST, env={**os.environ, "CARGO_TARGET_DIR": str(target)})
        # zigbuild's target includes the glibc version, the name of cargo's folder does not.
        built = target / ".".join(zig.split(".")[:1]) / "release" / LIBRARY if zig else target / "release" / LIBRARY
    library = into / LIBRARY
    shutil.copy(built, library)
    _strip(library)
    return library


def _build_speedups(into: Path) -> "Path | None":
    wanted = os.environ.get("MPFLAGS_SPEEDUPS")
    if wanted == "0":
        return None
    try:
        module = speedups.build(into, os.environ.get("MPFLAGS_ZIG_TARGET"))
    except speedups.CannotBuildError as error:
        if wanted == "1":
            raise BuildError(f"the accelerator cannot be built: {error}") from None
        print(f"mpflags is built without its accelerator, and evaluates slower: {error}", file=sys.stderr)
        return None
    _strip(module)
    return module


def _strip(library: Path) -> None:
    strip = shutil.which("strip") or shutil.which("llvm-strip")
    if strip is None:
        raise BuildError("strip was not found: it comes with binutils (on Debian: apt-get install binutils)")
    _run([strip, "-x" if sys.platform == "darwin" else "--strip-all", str(library)], cwd=HERE)


def _run(command, **options) -> None:
    print("+", *command, file=sys.stderr, flush=True)
    done = subprocess.run(command, check=False, **options)
    if done.returncode != 0:
        raise BuildError(f"{command[0]} ended with {done.returncode}")


# -- the wheel


def _tag() -> str:
    # Not `cp310-abi3`, although the accelerator is: other interpreters do not find a module of this name, and work without it.
    platform = os.environ.get("MPFLAGS_PLATFORM_TAG") or sysconfig.get_platform()
    return f"py3-none-{platform.replace('-', '_').replace('.', '_')}"


def _metadata() -> str:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {PROJECT['name']}",
        f"Version: {PROJECT['version']}",
        f"Summary: {PROJECT['description']}",
        f"Requires-Python: {PROJECT['requires-python']}",
        f"License-Expression: {PROJECT['license']}",
        "License-File: LICENSE",
        f"Keywords: {','.join(PROJECT['keywords'])}",
        *(f"Classifier: {classifier}" for classifier in PROJECT["classifiers"]),
        *(f"Requires-Dist: {requirement}" for requirement in PROJECT["dependencies"]),
    ]
    for extra, requirements in PROJECT["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        for requirement in requirements:
            name, _, marker = requirement.partition(";")
            condition = f'({marker.strip()}) and extra == "{extra}"' if marker else f'extra == "{extra}"'
            lines.append(f"Requires-Dist: {name.strip()}; {condition}")
    lines.append("Description-Content-Type: text/markdown")
    return "\n".join(lines) + "\n\n" + (HERE / "README.md").read_text(encoding="utf-8")


def _entry_points() -> str:
    lines: list[str] = []
    for group, entries in PROJECT["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    return "\n".join(lines) + "\n"


def _license() -> bytes:
    return (RUST / "LICENSE").read_bytes()


def _info(tag: str) -> "dict[str, bytes]":
    return {
        "METADATA": _metadata().encode(),
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: mpflags\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
        "entry_points.txt": _entry_points().encode(),
        "licenses/LICENSE": _license(),
    }


def _write_wheel(folder: str, tag: str, files: "dict[str, bytes]") -> str:
    info = f"{NAME}.dist-info"
    files = {**files, **{f"{info}/{name}": content for name, content in _info(tag).items()}}
    record = io.StringIO()
    filename = f"{NAME}-{tag}.whl"
    with zipfile.ZipFile(Path(folder) / filename, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in sorted(files.items()):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.write(f"{path},sha256={digest},{len(content)}\n")
            wheel.writestr(_entry(path, executable=path.endswith((".so", ".dylib"))), content)
        record.write(f"{info}/RECORD,,\n")
        wheel.writestr(_entry(f"{info}/RECORD"), record.getvalue())
    return filename


def _entry(path: str, executable: bool = False) -> zipfile.ZipInfo:
    # A fixed time, so that the same sources give the same bytes.
    entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    return entry


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """The wheel, with the library and the accelerator inside."""
    package = HERE / "src" / "mpflags"
    files = {f"mpflags/{file.name}": file.read_bytes() for file in [*package.glob("*.py"), package / "py.typed"]}
    with tempfile.TemporaryDirectory() as folder:
        built = [_build_library(Path(folder)), _build_speedups(Path(folder))]
        files.update({f"mpflags/{file.name}": file.read_bytes() for file in built if file is not None})
    return _write_wheel(wheel_directory, _tag(), files)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """pip calls this first. Without it pip would build the whole wheel to read the metadata."""
    info = Path(metadata_directory) / f"{NAME}.dist-info"
    for name, content in _info(_tag()).items():
        (info / name).parent.mkdir(parents=True, exist_ok=True)
        (info / name).write_bytes(content)
    return info.name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """A wheel that points to the sources. MPFLAGS_LIBRARY is the path of the library; `make speedups` builds the accelerator."""
    return _write_wheel(wheel_directory, "py3-none-any", {"mpflags.pth": f"{HERE / 'src'}\n".encode()})


# -- the source distribution


def build_sdist(sdist_directory, config_settings=None):
    """The package and the Rust workspace that its library is built from."""
    files = {}
    for pattern in PACKAGE:
        files.update({f"{NAME}/{file.relative_to(HERE)}": file for file in HERE.glob(pattern) if file.is_file()})
    for pattern in SOURCES:
        found = {f"{NAME}/rust/{file.relative_to(RUST)}": file for file in RUST.glob(pattern)}
        if not found:
            raise BuildError(f"the sources have no {pattern}")
        files.update(found)
    filename = f"{NAME}.tar.gz"
    with (
        (Path(sdist_directory) / filename).open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        contents = {path: file.read_bytes() for path, file in files.items()}
        for path, content in sorted(
            {**contents, f"{NAME}/PKG-INFO": _metadata().encode(), f"{NAME}/LICENSE": _license()}.items()
        ):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.mode = 0o755 if path.endswith(".sh") else 0o644
            archive.addfile(member, io.BytesIO(content))
    return filename


def get_requires_for_build_wheel(config_settings=None):
    return []


def get_requires_for_build_sdist(config_settings=None):
    return []


def get_requires_for_build_editable(config_settings=None):
    return []
