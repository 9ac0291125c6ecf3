"""Puts bugs into a copy of the core and of the Python binding, one at a time, and checks that a run finds each in time, and that the
code without the bug passes the case that the run prints.

    python3 conformance/differential/planted.py --build build/differential --library target/release/libmpflags.so
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SECONDS = 40
PROVIDER = "bindings/python/src/mpflags/openfeature.py"

# The bug, the file, the text in it, and its replacement.
BUGS = [
    ("a rollout includes the bucket that equals its percentage", "src/engine/decide.rs", ".bucket() < percentage", ".bucket() <= percentage"),
    (
        "the sums of splits are rounded to hundredths",
        "src/engine/definitions/compile.rs",
        "sums.push(cumulative);",
        "sums.push((cumulative * 100.0_f64).round() / 100.0);",
    ),
    (
        "the index in the salt counts only rollouts above 0 %",
        "src/engine/definitions/compile.rs",
        'Some(salt) => format!("{salt}{i}").into_boxed_str(),',
        'Some(salt) => format!("{salt}{}", rollouts.iter().filter(|r: &&Rollout| r.admits != Admits::None).count()).into_boxed_str(),',
    ),
    ("an integer is read as a float", PROVIDER, "resolve_integer_details = _resolver(INT64)", "resolve_integer_details = _resolver(DOUBLE)"),
    ("the targeting key is dropped", PROVIDER, '"targetingKey": evaluation_context.targeting_key', '"targeting_key": evaluation_context.targeting_key'),
]


def copied(to):
    """The files of the work tree that git does not ignore."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    shutil.rmtree(to, ignore_errors=True)
    for file in filter(None, files):
        if (ROOT / file).exists():
            (to / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, to / file)


def built(tree, target):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_TERM_COLOR": "never"}
    command = ["cargo", "rustc", "-q", "-j2", "--locked", "-p", "mpflags-c", "--lib", "--crate-type", "cdylib"]
    if subprocess.run(command, cwd=tree, env=environment).returncode:
        sys.exit(f"the copy in {tree} does not build")
    return target / "debug/libmpflags.so"


def vectors_of(output):
    lines = output.splitlines()
    return [json.loads(after) for line, after in zip(lines, lines[1:]) if line.startswith("UNEXPLAINED")]


def passes(vector, library):
    """Whether the code without the bug passes the case."""
    from mpflags_worker import Mpflags

    if "read" in vector:
        request = {"command": "read", "documents": [{"document": vector["flags"], "key": vector["key"], "reads": [vector["read"]]}]}
        environment = {**os.environ, "MPFLAGS_LIBRARY": str(library.resolve()), "PYTHONPATH": str(ROOT / "bindings/python/src")}
        worker = [sys.executable, HERE / "provider_worker.py"]
        done = subprocess.run(worker, input=json.dumps(request) + "\n", env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)[0][0] == vector["mpflags"][1]

    item = {"document": json.dumps(vector["flags"]), "key": vector["key"], "contexts": [json.dumps(vector["context"])]}
    result, want = Mpflags(str(library)).evaluate(item)["distinct"][0], vector["want"]
    outcomes = {"no_match": "no_rollout_match", "missing": "missing_context_key", "not_found": "flag_not_found"}
    if outcomes.get(result[0], result[0]) != want["outcome"]:
        return False
    _, variant, value, _, _, is_qa_tester, reason = result if result[0] == "variant" else [None] * 7
    return [variant, value, is_qa_tester, reason] == [want.get(n) for n in ("variant", "value", "is_qa_tester")] + [want["reason"] if variant is not None else None]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--seed", default="20260716")
    args = parser.parse_args()
    build = args.build.resolve()
    tree, target = build / "planted/tree", build / "planted/target"
    copied(tree)
    found = 0
    for name, file, old, new in BUGS:
        source = (ROOT / file).read_text()
        if source.count(old) != 1:
            sys.exit(f"{file} contains `{old}` {source.count(old)} times instead of once: adapt planted.py")
        (tree / file).write_text(source.replace(old, new))
        library = args.library if file == PROVIDER else built(tree, target)
        begun = time.monotonic()
        run = subprocess.run([sys.executable, tree / "conformance/differential/run.py", "--seed", args.seed, "--seconds", str(SECONDS), "--evaluations", "1000000",
                              "--build", build, "--library", library], capture_output=True, text=True)  # fmt: skip
        (tree / file).write_text(source)
        vectors = vectors_of(run.stdout)
        good = run.returncode == 1 and vectors and all(passes(vector, args.library) for vector in vectors)
        print(f"{'found' if good else 'NOT FOUND'} in {time.monotonic() - begun:.0f} s: {name}")
        if good:
            print(f"    {json.dumps(vectors[0], ensure_ascii=False)}")
        else:
            print(run.stdout[-3000:] + run.stderr[-3000:])
        found += bool(good)
    print(f"{found} of {len(BUGS)} bugs found")
    sys.exit(0 if found == len(BUGS) else 1)


if __name__ == "__main__":
    main()
