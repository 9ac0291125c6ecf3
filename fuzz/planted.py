#!/usr/bin/env python3
"""Plants bugs in a copy of the core, one at a time. The fuzz target must find each within a minute from an empty corpus, and a test
must fail.

    fuzz/planted.py [--only TARGET] [--first]
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/fuzz/planted"
TREE = BUILD / "tree"
# The folder of fuzz/run, which has the dependencies.
FUZZ = ROOT / "build/fuzz/target"
TESTS = BUILD / "tests"
SECONDS = 60

READ = "src/binary/read.rs"
# The target; the test, as arguments of cargo test; the bug, the file, the text in it, and its replacement.
BINARY = ("context_binary", ["--test", "engine", "binary::"])
BUGS = [
    (*BINARY, "a length of one byte is off by one", READ, "(usize::from(length), rest)", "(usize::from(length) + 1, rest)"),
    (*BINARY, "a long length is off by one", READ, "(usize::try_from(length).unwrap_or(usize::MAX), rest)", "(usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1), rest)"),
    (*BINARY, "a tag is not checked", READ, "Some((&tag, rest)) if tag <= tag::UNUSABLE => {", "Some((&tag, rest)) if tag <= u8::MAX => {"),
    (*BINARY, "the digits of a number are not checked", READ, "let fits = all < 0x80 && (", "let fits = all <= u8::MAX && ("),
    (*BINARY, "a short string is cut at its last byte", READ, "form.get(from..from + usize::from(length))", "form.get(from..from + usize::from(length.max(5) - 1))"),
    (*BINARY, "a long string is cut at its last byte", READ, "Some(form) => form.get(end - rest.len()..end)", "Some(form) => form.get(end - rest.len()..end - usize::from(rest.len() > 4))"),
]


def copied():
    """The files of the work tree that git does not ignore. Unchanged files keep their times, so that cargo does not build them
    again."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    shutil.rmtree(TREE, ignore_errors=True)
    for file in filter(None, files):
        if (ROOT / file).is_file():
            (TREE / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, TREE / file)


def cargo(arguments, folder, target):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_TERM_COLOR": "never"}
    command = ["cargo", *arguments, "--quiet", "--locked", "-j", os.environ.get("JOBS", "2")]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def fuzzed(target):
    """The seconds until the target found something, and its message. None if it did not, or if the copy does not build."""
    made = cargo(["build", "--release", "--bin", target], TREE / "fuzz", FUZZ)
    if made.returncode:
        sys.exit(f"the copy in {TREE} does not build:\n{made.stderr}")
    host = subprocess.run(["rustc", "--print", "host-tuple"], check=True, capture_output=True, text=True).stdout.strip()
    program = FUZZ / host / "release" / target
    options = ["-seed=1", f"-max_total_time={SECONDS}", "-max_len=1024", f"-artifact_prefix={BUILD}/", "-verbosity=0"]
    dictionary = TREE / "fuzz/dictionaries" / target
    if dictionary.exists():
        options.append(f"-dict={dictionary}")
    began = time.monotonic()
    ended = subprocess.run([program, *options], capture_output=True, text=True, errors="replace")
    panic = next((line for line in ended.stderr.splitlines() if "panicked at" in line), None)
    return (time.monotonic() - began, panic) if ended.returncode and panic else None


def tested(arguments):
    """Whether a test fails."""
    ended = cargo(["test", "--workspace", "--features", "mpflags/openfeature", *arguments], TREE, TESTS)
    if ended.returncode and "test result: FAILED" not in ended.stdout:
        sys.exit(f"the tests of the copy in {TREE} do not run:\n{ended.stdout}{ended.stderr}")
    return ended.returncode != 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", help="the bugs of one target")
    parser.add_argument("--first", action="store_true", help="one bug of each target")
    options = parser.parse_args()
    bugs = [bug for bug in BUGS if options.only in (None, bug[0])]
    if options.first:
        bugs = list({bug[0]: bug for bug in reversed(bugs)}.values())
    copied()
    found = 0
    for target, test, name, file, old, new in bugs:
        source = (ROOT / file).read_text()
        if source.count(old) != 1:
            sys.exit(f"{file} contains `{old}` {source.count(old)} times instead of once: adapt planted.py")
        (TREE / file).write_text(source.replace(old, new))
        by_target, by_test = fuzzed(target), tested(test)
        (TREE / file).write_text(source)
        found += bool(by_target and by_test)
        print(f"{name}: {target} " + (f"found it in {by_target[0]:.0f} s" if by_target else "DID NOT FIND IT")
              + (", a test fails" if by_test else ", NO TEST FAILS"), flush=True)  # fmt: skip
    print(f"{found} of {len(bugs)} bugs found")
    sys.exit(0 if found == len(bugs) > 0 else 1)


if __name__ == "__main__":
    main()
