"""The wheel and the source distribution, built and installed as a user does."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest
import stand_in
from packaging.version import Version

PACKAGE = stand_in.ROOT / "bindings" / "python"
VERSION = re.search(r'(?m)^version = "(.*)"', (stand_in.ROOT / "Cargo.toml").read_text())[1]
# As Python writes it: 0.2.0rc1 for 0.2.0-rc.1.
RELEASE = str(Version(VERSION))
LICENSES = [name for name in ("LICENSE", "THIRD-PARTY.md") if (PACKAGE / name).exists()]
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


def build(folder, source=PACKAGE, wanted=0, target="wheel", **changes):
    """What pip calls. `make sdist-wheel` lets pip do it."""
    command = (sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder)
    return run(*command, wanted=wanted, cwd=source, env=environment(**changes))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, library):
    folder = tmp_path_factory.mktemp("wheel")
    build(folder, MPFLAGS_PREBUILT_LIBRARY=library)
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
    """The folder that the source distribution contains."""
    folder = tmp_path_factory.mktemp("sdist")
    build(folder, target="sdist")
    (built,) = folder.iterdir()
    with tarfile.open(built) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder / built.name.removesuffix(".tar.gz")


def test_the_wheel_holds_the_package_and_the_library(wheel, library):
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    assert wheel.name == f"mpflags-{RELEASE}-py3-none-{platform}.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        package = (PACKAGE / "src" / "mpflags").iterdir()
        info = f"mpflags-{RELEASE}.dist-info"
        assert set(archive.namelist()) == {
            *(f"mpflags/{file.name}" for file in package if file.suffix in (".py", ".pyi", ".typed")),
            "mpflags/libmpflags.so",
            "mpflags/_speedups.abi3.so",
            *(f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")),
            *(f"{info}/licenses/{name}" for name in LICENSES),
        }
        assert archive.read("mpflags/libmpflags.so") == library.read_bytes()
        for name in LICENSES:
            assert archive.read(f"{info}/licenses/{name}") == (stand_in.ROOT / name).read_bytes()
        metadata = archive.read(f"{info}/METADATA").decode()
    requirements = [line for line in metadata.splitlines() if line.startswith(("Requires-Dist", "Provides-Extra"))]
    assert requirements == [
        "Provides-Extra: openfeature",
        "Requires-Dist: openfeature-sdk<0.11,>=0.8; extra == 'openfeature'",
    ]


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


def test_the_library_that_cargo_builds_is_stripped(tmp_path, library):
    target = stand_in.ROOT / "target"
    if library != target / "release" / "libmpflags.so":
        pytest.skip("the library is not from this folder, where cargo would build another one for minutes")
    build(tmp_path, CARGO_TARGET_DIR=target)
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        stripped = archive.extract("mpflags/libmpflags.so", tmp_path)
    # The limit of .ci/library, and the table of symbols that `strip -x` leaves.
    assert os.path.getsize(stripped) <= 3_330_000 + 20_000
    sections = run("readelf", "--wide", "--sections", stripped)
    assert ".text" in sections
    assert ".debug" not in sections


def test_the_wheel_runs_without_the_repository(wheel, elsewhere, library):
    run(elsewhere, "-m", "pip", "install", "--no-index", wheel, env=environment(), cwd="/")
    said = run(elsewhere, "-I", "-c", EVALUATE, env=environment(), cwd="/")
    assert said.startswith(f"True {VERSION} {elsewhere.parent.parent}")
    assert "_speedups.abi3.so\n" in said
    # The SDK is only needed for the provider.
    no_sdk = run(elsewhere, "-I", "-c", "import mpflags.openfeature", wanted=1, env=environment(), cwd="/")
    assert "No module named 'openfeature'" in no_sdk
    # An editable install replaces it and finds the sources. The environment has no hatchling of its own.
    editable = ("-m", "pip", "install", "--no-index", "--no-build-isolation", "--editable", PACKAGE)
    run(elsewhere, *editable, env=environment(PYTHONPATH=sysconfig.get_path("purelib")), cwd="/")
    said = run(elsewhere, "-I", "-c", EVALUATE, env=environment(MPFLAGS_LIBRARY=library), cwd="/")
    assert str(PACKAGE) in said


def test_the_same_sources_give_the_same_bytes(wheel, sdist, tmp_path, library):
    """In another folder, and from the source distribution."""
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGE, copy / "bindings" / "python", symlinks=True)
    for name in ("Cargo.toml", *LICENSES):
        shutil.copy(stand_in.ROOT / name, copy)
    for source in (copy / "bindings" / "python", sdist):
        folder = tmp_path / source.name
        build(folder, source=source, MPFLAGS_PREBUILT_LIBRARY=library)
        assert (folder / wheel.name).read_bytes() == wheel.read_bytes()
    build(tmp_path, target="sdist")
    (again,) = tmp_path.glob("*.tar.gz")
    assert again.read_bytes() == (sdist.parent / again.name).read_bytes()


def test_a_wheel_without_the_accelerator(tmp_path, library):
    """Where the compiler or Python's headers are missing. `MPFLAGS_SPEEDUPS=1` makes that an error."""
    nothing = tmp_path / "no-such-compiler"
    without = {"MPFLAGS_PREBUILT_LIBRARY": library, "CC": nothing}
    assert "no-such-compiler does not run" in build(tmp_path, wanted=1, MPFLAGS_SPEEDUPS=1, **without)
    said = build(tmp_path, MPFLAGS_SPEEDUPS="", **without)
    assert "mpflags is built without its accelerator, and evaluates slower" in said
    (built,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(built) as archive:
        assert "mpflags/_speedups.abi3.so" not in archive.namelist()
        archive.extractall(site)
    assert "\nNone\n" in run(sys.executable, "-c", EVALUATE, env=environment(PYTHONPATH=site), cwd="/")
    # A module that cannot be loaded, by another interpreter for example, does no harm.
    (site / "mpflags" / "_speedups.abi3.so").write_bytes(b"of another platform")
    assert "\nNone\n" in run(sys.executable, "-c", EVALUATE, env=environment(PYTHONPATH=site), cwd="/")


def test_what_is_missing_is_named(sdist, tmp_path, library):
    for source in (PACKAGE, sdist):
        said = build(tmp_path, source=source, wanted=1, CARGO="no-such-cargo")
        assert re.search(r"mpflags is built with Rust 1\.\d+ or newer, and no-such-cargo was not found", said)
        assert "Traceback" not in said
    said = build(tmp_path, wanted=1, CC="no-such-compiler")
    assert "mpflags is built with a C compiler, and no-such-compiler was not found" in said
    said = build(tmp_path, wanted=1, MPFLAGS_PREBUILT_LIBRARY=tmp_path / "no")
    assert "MPFLAGS_PREBUILT_LIBRARY is" in said
    # An installation of Python with its library only.
    home = tmp_path / "home"
    home.mkdir()
    (home / "lib").symlink_to(os.path.join(sys.base_prefix, "lib"))
    command = (sys._base_executable, PACKAGE / "build_speedups.py", tmp_path)
    said = run(*command, wanted=1, env=environment(PYTHONHOME=home))
    assert re.search(r"the accelerator cannot be built: .* has no Python\.h", said)
    assert "Traceback" not in said


def test_the_source_distribution_has_what_cargo_needs_and_nothing_else(sdist):
    """Cargo can read its manifests. `make sdist-wheel` also builds it, which takes minutes."""
    # Offline, crates of other platforms may be missing. It is enough that cargo gets as far as looking for them.
    fetch = ("cargo", "fetch", "--locked", "--offline")
    done = subprocess.run(fetch, cwd=sdist / "rust", env=environment(), capture_output=True, text=True, check=False)
    assert "manifest" not in done.stderr, done.stderr
    assert done.returncode == 0 or "--offline" in done.stderr, done.stderr
    found = {str(file.relative_to(sdist)) for file in sdist.rglob("*") if not file.is_dir()}
    core = {f"rust/{file.relative_to(stand_in.ROOT)}" for file in (stand_in.ROOT / "src").rglob("*") if file.is_file()}
    assert core <= found
    # In the repository, and regular files.
    for name in found - {"PKG-INFO"}:
        inside = name.startswith("rust/") or name in LICENSES
        original = stand_in.ROOT / name.removeprefix("rust/") if inside else PACKAGE / name
        assert (sdist / name).read_bytes() == original.read_bytes()
        assert not (sdist / name).is_symlink()
    others = {name.split("/")[0] for name in found} - {"src", "rust", "examples", *LICENSES}
    assert others == {"PKG-INFO", "README.md", "build_speedups.py", "hatch_build.py", "pyproject.toml"}
    assert not [name for name in found if name.endswith((".so", ".pyc"))]
