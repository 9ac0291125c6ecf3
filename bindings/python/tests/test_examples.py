"""The examples run, and the README contains the first one unchanged."""

import os
import re
import subprocess
import sys

import pytest
import stand_in

PACKAGE = stand_in.ROOT / "bindings" / "python"
README = (PACKAGE / "README.md").read_text()


def run(name, dev, *arguments, logs=False):
    done = subprocess.run(
        [sys.executable, "-X", "dev", PACKAGE / "examples" / name, *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(PACKAGE / "src"),
            "MPFLAGS_API_HOST": dev.url,
            "MPFLAGS_TOKEN": "demo-token",
            "MPFLAGS_POLL_SECONDS": "0.05",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if logs:
        return done.stdout.splitlines(), done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def exposures(dev, at_least):
    told = dev.events(at_least=at_least)["events"]
    return sorted(event["json"]["properties"]["Experiment name"] for event in told)


def test_quickstart(dev):
    assert run("quickstart.py", dev) == ["the new checkout", "button-color: #6e7781, variant control (SPLIT)"]
    assert exposures(dev, 2) == ["button-color", "new-checkout"]


@pytest.mark.parametrize("trouble", ["down", "refused"])
def test_quickstart_keeps_running_without_mixpanel(dev, trouble):
    if trouble == "down":
        dev.stop()
    else:
        dev.fail_fetches("status", status=401)
    printed, logged = run("quickstart.py", dev, logs=True)
    assert printed == ["button-color: #000000, variant None (ERROR)"]
    assert "flags have their defaults for now, and polling continues: " in logged
    assert "Traceback" not in logged


def test_hello(dev, tmp_path):
    source = (PACKAGE / "examples" / "hello.py").read_text()
    assert source.count("api.mixpanel.com") == 1
    (tmp_path / "hello.py").write_text(source.replace("api.mixpanel.com", dev.url))
    assert run(tmp_path / "hello.py", dev) == ["the new checkout"]
    assert exposures(dev, 1) == ["new-checkout"]


def test_all_flags(dev):
    lines = run("all_flags.py", dev)
    assert len(lines) == 5
    assert "new-checkout: True, variant On" in lines
    assert exposures(dev, 1) == ["button-color"]


def test_changes(dev):
    lines = run("changes.py", dev, "0.3")
    assert len(lines) == 18
    assert "ranking-boost     user 1: 1.35 (strong, SPLIT)" in lines


@pytest.mark.parametrize("name", ["quickstart.py"])
def test_the_readme_shows_the_example(name):
    shown = re.search(rf"<!-- examples/{re.escape(name)} -->\n```python\n(.*?)```\n", README, re.DOTALL)
    assert shown, f"the README has no block for {name}"
    assert shown[1] == (PACKAGE / "examples" / name).read_text()


def test_the_code_of_the_readme_is_python():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        compile(block, "README.md", "exec")


def test_the_tables_of_the_readme_are_whole():
    """Each error class and each option of the binding has a row."""
    from mpflags import errors

    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.MpflagsError):
            assert f"`{name}`" in README, name
    for name in ("async_threads", "credentials", "exposure_executor", "poll_interval", "token", "definitions"):
        assert f"`{name}`" in README, name


def test_the_testing_section_runs(tmp_path):
    """Runs the README's section on testing without a network as files of another project."""
    blocks = re.findall(r"<!-- (test_\w+)\.py -->\n```python\n(.*?)```", README, re.DOTALL)
    assert [name for name, _ in blocks] == ["test_checkout", "test_events"]
    for name, code in blocks:
        (tmp_path / f"{name}.py").write_text(code)
    assert len(blocks[0][1].strip().splitlines()) <= 10
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "mpflags.testing",
            "--rootdir",
            tmp_path,
            tmp_path,
        ],
        env={**os.environ, "PYTHONPATH": str(PACKAGE / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
