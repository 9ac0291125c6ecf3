"""The wheel and the source distribution, built and installed as a user does."""

import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from base64 import urlsafe_b64encode

import pytest
import stand_in

PACKAGE = stand_in.ROOT / "bindings" / "python"
EVALUATE = """
import json, mpflags
document = {"flags": [{"key": "f", "context": "distinct_id", "ruleset": {
    "variants": [{"key": "on", "value": True, "split": 1}], "rollout": [{"rollout_percentage": 1}]}}]}
client = mpflags.Client.local("token", definitions=document, enable_polling=False)
print(client.is_enabled("f", {"distinct_id": "u"}), mpflags.version(), mpflags.__file__)
print(mpflags.speedups.MODULE and mpflags.speedups.MODULE.__file__)
"""


def run(*command, wanted=0, **options):
    done = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == wanted, done.stdout + done.stderr
    return done.stdout + done.stderr


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if name not in ("MPFLAGS_LIBRARY", "PYTHONPATH")}
    return {**kept, **{name: str(value) for name, value in changes.items()}}


def build(folder, source=PACKAGE, wanted=0, isolated=False, **changes):
    """What `pip install ./bindings/python` does first. Without an index, because the build needs no packages."""
    how = () if isolated else ("--no-build-isolation",)
    arguments = ("-m", "pip", "wheel", "--no-deps", "--no-index", *how, "--wheel-dir", folder, source)
    return run(sys.executable, *arguments, wanted=wanted, env=environment(**changes))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, library):
    folder = tmp_path_factory.mktemp("wheel")
    build(folder, isolated=True, MPFLAGS_PREBUILT_LIBRARY=library)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The interpreter of a new virtual environment, outside the repository."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "venv", with_pip=True)
    return folder / "venv" / "bin" / "python"


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    program = f"import build_wheel; print(build_wheel.build_sdist({str(folder)!r}))"
    run(sys.executable, "-c", program, cwd=PACKAGE / "backend", env=environment())
    (built,) = folder.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder / built.name.removesuffix(".tar.gz")


def test_the_wheel_holds_the_package_and_the_library(wheel):
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    assert wheel.name == f"mpflags-0.1.0-py3-none-{platform}.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        sources = {f"mpflags/{file.name}" for file in (PACKAGE / "src" / "mpflags").iterdir() if file.suffix == ".py"}
        info = "mpflags-0.1.0.dist-info"
        assert names == sources | {
            "mpflags/py.typed",
            "mpflags/libmpflags.so",
            "mpflags/_speedups.abi3.so",
            *(f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")),
        }
        metadata = archive.read(f"{info}/METADATA").decode()
        assert 'Requires-Dist: openfeature-sdk>=0.8,<0.11; extra == "openfeature"' in metadata
        assert not [
            line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line
        ]
        for line in archive.read(f"{info}/RECORD").decode().splitlines():
            name, digest, size = line.rsplit(",", 2)
            if name != f"{info}/RECORD":
                content = archive.read(name)
                wanted = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                assert (digest, size) == (f"sha256={wanted}", str(len(content)))


def test_pytest_finds_the_fixtures_of_an_installed_package(wheel, tmp_path):
    """Without `pytest_plugins`, and also with it, as projects have it that were written for an earlier version."""
    site, project = tmp_path / "site", tmp_path / "project"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    project.mkdir()
    (project / "test_flags.py").write_text(
        "def test_it(mpflags_flags):\n"
        "    assert mpflags_flags.set(a=True).client.is_enabled('a', {'distinct_id': 'u'})\n"
    )
    test = (
        sys.executable,
        "-W",
        "error",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "--rootdir",
        project,
        project,
    )
    changes = {"PYTHONPATH": site, "PYTHONDONTWRITEBYTECODE": 1}
    assert "1 passed" in run(*test, env=environment(**changes))
    (project / "conftest.py").write_text('pytest_plugins = ["mpflags.testing"]\n')
    assert "1 passed" in run(*test, env=environment(**changes))


def test_the_library_in_the_wheel_is_stripped(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        library = archive.extract("mpflags/libmpflags.so", tmp_path)
    assert os.path.getsize(library) <= 3_000_000
    sections = run("readelf", "--wide", "--sections", library)
    assert ".symtab" not in sections
    assert ".debug" not in sections


def test_the_wheel_runs_without_the_repository(wheel, elsewhere, library):
    run(elsewhere, "-m", "pip", "install", "--no-index", wheel, env=environment(), cwd="/")
    said = run(elsewhere, "-I", "-c", EVALUATE, env=environment(), cwd="/")
    assert said.startswith(f"True 0.1.0 {elsewhere.parent.parent}")
    assert "_speedups.abi3.so\n" in said
    # The SDK is only needed for the provider.
    no_sdk = run(elsewhere, "-I", "-c", "import mpflags.openfeature", wanted=1, env=environment(), cwd="/")
    assert "No module named 'openfeature'" in no_sdk
    # An editable install replaces it and finds the sources.
    editable = ("-m", "pip", "install", "--no-index", "--no-build-isolation", "--editable", PACKAGE)
    run(elsewhere, *editable, env=environment(), cwd="/")
    said = run(elsewhere, "-I", "-c", EVALUATE, env=environment(MPFLAGS_LIBRARY=library), cwd="/")
    assert str(PACKAGE) in said


def test_the_same_sources_give_the_same_wheel(wheel, tmp_path, library):
    build(tmp_path, MPFLAGS_PREBUILT_LIBRARY=library)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_a_wheel_without_the_accelerator(tmp_path, library):
    """Where the compiler or Python's headers are missing. `MPFLAGS_SPEEDUPS=1` makes that an error."""
    nothing = tmp_path / "no-such-compiler"
    without = {"MPFLAGS_PREBUILT_LIBRARY": library, "CC": nothing}
    assert "no-such-compiler does not run" in build(tmp_path, wanted=1, MPFLAGS_SPEEDUPS=1, **without)
    build(tmp_path, MPFLAGS_SPEEDUPS="", **without)
    (built,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(built) as archive:
        assert "mpflags/_speedups.abi3.so" not in archive.namelist()
        archive.extractall(site)
    assert "\nNone\n" in run(sys.executable, "-c", EVALUATE, env=environment(PYTHONPATH=site), cwd="/")
    # A module that cannot be loaded, by another interpreter for example, does no harm.
    (site / "mpflags" / "_speedups.abi3.so").write_bytes(b"of another platform")
    assert "\nNone\n" in run(sys.executable, "-c", EVALUATE, env=environment(PYTHONPATH=site), cwd="/")


def test_without_cargo_the_error_says_so(tmp_path):
    said = build(tmp_path, wanted=1, CARGO="no-such-cargo")
    assert "mpflags is built with Rust 1.95 or newer, and no-such-cargo was not found" in said
    assert "Traceback" not in said
    assert "MPFLAGS_PREBUILT_LIBRARY names" in build(tmp_path, wanted=1, MPFLAGS_PREBUILT_LIBRARY=tmp_path / "no")


def test_the_source_distribution_carries_the_rust_sources(sdist, tmp_path, library):
    """Cargo can read its manifests. `make sdist-wheel` also builds it, which takes minutes."""
    # Offline, crates of other platforms may be missing. It is enough that cargo gets as far as looking for them.
    fetch = ("cargo", "fetch", "--locked", "--offline")
    done = subprocess.run(fetch, cwd=sdist / "rust", env=environment(), capture_output=True, text=True, check=False)
    assert "manifest" not in done.stderr, done.stderr
    assert done.returncode == 0 or "--offline" in done.stderr, done.stderr
    rust = {file.relative_to(stand_in.ROOT) for file in (stand_in.ROOT / "src").rglob("*.rs")}
    assert rust <= {file.relative_to(sdist / "rust") for file in (sdist / "rust").rglob("*.rs")}
    build(tmp_path, source=sdist, MPFLAGS_PREBUILT_LIBRARY=library)
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        assert {"mpflags/libmpflags.so", "mpflags/_speedups.abi3.so"} <= set(archive.namelist())


def test_the_floor_of_glibc_is_looked_at(wheel):
    check = PACKAGE / "backend" / "glibc_floor.py"
    assert "may ask for 9.9" in run(sys.executable, check, "9.9", wheel)
    assert "may ask for 2.0" in run(sys.executable, check, "2.0", wheel, wanted=1)
