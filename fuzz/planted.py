#!/usr/bin/env python3
"""Plants bugs in a copy of the library, which is built once: the environment variable MPFLAGS_PLANTED selects the bug. The fuzz target
must find each within a minute from its seeds, and a test must fail.

    fuzz/planted.py [--only TARGET] [--first]
"""
import argparse
import os
import pathlib
import re
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
SETS = "src/engine/definitions/mod.rs"
CONFIG = "src/config/read.rs"
CACHE = "src/client/cache.rs"
RULES = "src/engine/rules/"
C = "bindings/c/src/"
BINARY = ("context_binary", ["-p", "mpflags", "--test", "engine", "binary::"])
JSON = ("context_json", ["-p", "mpflags", "--test", "engine"])
DEFINITIONS = ("definitions", ["-p", "mpflags", "--test", "client", "--", "good", "change"])
TWICE = ("definitions", ["-p", "mpflags", "--test", "engine", "conformance"])
RULE = ("rules", ["-p", "mpflags", "--lib", "engine::rules"])
SEMVER = ("semver", ["-p", "mpflags", "--lib", "semver"])
DATETIME = ("datetime", ["-p", "mpflags", "--lib", "datetime"])
OPTIONS = ("config", ["-p", "mpflags", "--test", "engine", "config::"])
CACHED = ("cache", ["-p", "mpflags", "--lib", "cache"])
REMOTE = ("remote", ["-p", "mpflags", "--test", "client", "remote::"])
EVENTS = ("events", ["-p", "mpflags", "--test", "client", "events::"])
ABI = ("c_abi", ["-p", "mpflags-c", "--test", "contract"])
TABLE = ("table", ["-p", "mpflags-c", "--test", "contract"])
# The target; the test, as arguments of cargo test; the bug, the file, the text in it with the expression to replace in «», and the
# expression that replaces it.
BUGS = [
    (*BINARY, "a length of one byte is off by one", READ, "«(usize::from(length), rest)»", "(usize::from(length) + 1, rest)"),
    (*BINARY, "a long length is off by one", READ, "«(usize::try_from(length).unwrap_or(usize::MAX), rest)»", "(usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1), rest)"),
    (*BINARY, "a tag is not checked", READ, "Some((&tag, rest)) if «tag <= tag::UNUSABLE» => {", "tag <= u8::MAX"),
    (*BINARY, "the digits of a number are not checked", READ, "let fits = «all < 0x80» && (", "all <= u8::MAX"),
    (*BINARY, "a short string is cut at its last byte", READ, "form.get(from..from + «usize::from(length)»)", "usize::from(length.max(5) - 1)"),
    (*BINARY, "a long string is cut at its last byte", READ, "Some(form) => «form.get(end - rest.len()..end)»", "form.get(end - rest.len()..end - usize::from(rest.len() > 4))"),
    (*JSON, "a number loses its lowest bit", "src/engine/context/scalar.rs", "Ok(«Scalar::Unsigned(v)»)", "Scalar::Unsigned(v & !1)"),
    (*DEFINITIONS, "a malformed flag loses its last good version", SETS, "match «self.previous.and_then(|set| set.get(key))» {\n                Some(held @ Entry::Flag { .. }) => {", "None::<&Entry>"),
    (*DEFINITIONS, "an unchanged flag is reported as changed", SETS, "Some(held @ Entry::Flag { flag: known, .. }) if «**known == flag» =>", "false"),
    (*TWICE, "of two flags with one key the earlier counts", SETS, "«self.found.insert(key, entry)»;", "{ self.found.entry(key).or_insert(entry); None }"),
    (*RULE, "a part of a text begins one too late", RULES + "lists_and_text.rs", "if start < 0.0 { «(size + start).max(0.0)» }", "(size + start + 1.0).max(0.0)"),
    (*RULE, "equal numbers are not at least each other", RULES + "operators.rs", "Operator::GreaterOrEqual => Some(«a >= b»)", "a > b"),
    (*RULE, "null is 1", RULES + "operand.rs", "Operand::Null | Operand::Bool(false) => «0.0»", "f64::from(u8::from(matches!(self, Operand::Null)))"),
    (*SEMVER, "numbers are compared as texts", RULES + "semver.rs", "(true, true) => «numbers(a, b)»", "a.cmp(b)"),
    (*SEMVER, "a prerelease is later than its release", RULES + "semver.rs", "(None, Some(_)) => «Ordering::Greater»,", "Ordering::Less"),
    (*DATETIME, "1900 is a leap year", RULES + "datetime.rs", "2 if year % 4 == 0 && («year % 100 != 0 || year % 400 == 0»)", "true"),
    (*DATETIME, "an offset to the west is one to the east", RULES + "datetime.rs", "if «sign == b'-'» { -seconds }", "false"),
    (*OPTIONS, "the largest number is refused", CONFIG, "Ok(integer) if «(min..=max).contains(&integer)» =>", "(min..max).contains(&integer)"),
    (*OPTIONS, "an error does not name the option", CONFIG, "if self.place.is_empty() { «self.key.to_owned()» }", "\"option\".to_owned()"),
    (*CACHED, "the checksum leaves out the ETag", CACHE, "Hash::new().with(«etag»).with_bytes(body)", '""'),
    (*CACHED, "the lines before the body are not checked", CACHE, "let whole = «bytes.strip_suffix(body)? == head(etag, body).as_bytes()»;", "true"),
    (*REMOTE, "of two values of a flag the earlier counts", "src/client/remote/mod.rs", "let found = «flags.into_iter().rev().find(|(name, _)| name == key)»;", "flags.into_iter().find(|(name, _)| name == key)"),
    (*REMOTE, "the value is read from another field", "src/client/remote/mod.rs", "match FlagValue::parse(«field(\"variant_value\")») {", "field(\"value\")"),
    (*EVENTS, "events that were rejected count as sent too", "src/events/sender/mod.rs", "self.outbox.settle(«batch.len() - lost», End::Sent);", "batch.len()"),
    (*EVENTS, "a rejection counts as an acceptance", "src/events/sender/response.rs", "Some(Body { status: Some(status), .. }) if «status == 1» =>", "status == 1 || status == 0"),
    (*ABI, "a text has no NUL", C + "strings.rs", "«text.push('\\0')»;", "text.push('x')"),
    (*ABI, "an argument is read one byte too far", C + "strings.rs", "slice::from_raw_parts(ptr.cast(), «len»)", "len + 1"),
    (*TABLE, "the last row of a batch is left out", C + "table.rs", "ArrayData::builder(DataType::Struct(fields)).len(«rows»)", "rows.saturating_sub(1)"),
]

# What each crate of the copy gets. Bug 0 is none.
SWITCH = """
pub(crate) fn planted(bug: u32) -> bool {
    static BUG: std::sync::LazyLock<u32> =
        std::sync::LazyLock::new(|| std::env::var("MPFLAGS_PLANTED").ok().and_then(|bug| bug.parse().ok()).unwrap_or(0));
    *BUG == bug
}
"""


def copied():
    """Copies the files of the work tree that git does not ignore, with every bug. Unchanged files keep their times, so that cargo does
    not build them again."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    shutil.rmtree(TREE, ignore_errors=True)
    for file in filter(None, files):
        if (ROOT / file).is_file():
            (TREE / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, TREE / file)
    for crate in ("src/", C):
        with (TREE / f"{crate}lib.rs").open("a") as library:
            library.write(SWITCH)
    for number, (_, _, _, file, place, new) in enumerate(BUGS, 1):
        before, old, after = re.fullmatch("(.*)«(.*)»(.*)", place, re.DOTALL).groups()
        source = (TREE / file).read_text()
        if source.count(before + old + after) != 1:
            sys.exit(f"{file} contains `{before}{old}{after}` {source.count(before + old + after)} times instead of once: adapt planted.py")
        switched = f"(if crate::planted({number}) {{ {new} }} else {{ {old} }})"
        (TREE / file).write_text(source.replace(before + old + after, before + switched + after))
    # So that cargo builds again only what has changed.
    for file in {file for _, _, _, file, *_ in BUGS} | {"src/lib.rs", C + "lib.rs"}:
        changed = max((ROOT / file).stat().st_mtime, pathlib.Path(__file__).stat().st_mtime)
        os.utime(TREE / file, (changed, changed))


def cargo(arguments, folder, target, bug):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_TERM_COLOR": "never", "MPFLAGS_PLANTED": str(bug)}
    # As in fuzz/run.
    if folder == TREE / "fuzz":
        environment["RUSTC_BOOTSTRAP"] = "1"
    command = ["cargo", arguments[0], "--quiet", "--locked", "-j", os.environ.get("JOBS", "2"), *arguments[1:]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def built(targets):
    made = cargo(["build", "--release", *(f"--bin={target}" for target in targets)], TREE / "fuzz", FUZZ, 0)
    if made.returncode:
        sys.exit(f"the copy in {TREE} does not build:\n{made.stderr}")
    subprocess.run([sys.executable, TREE / "fuzz/seeds.py", BUILD / "seeds"], check=True)


def fuzzed(target, bug):
    """The seconds until the target found something. None if it did not."""
    host = subprocess.run(["rustc", "--print", "host-tuple"], check=True, capture_output=True, text=True).stdout.strip()
    program = FUZZ / host / "release" / target
    options = ["-seed=1", f"-max_total_time={SECONDS}", "-max_len=4096", f"-artifact_prefix={BUILD}/", "-verbosity=0"]
    dictionary = TREE / "fuzz/dictionaries" / target
    if dictionary.exists():
        options.append(f"-dict={dictionary}")
    seeds = BUILD / "seeds" / target
    began = time.monotonic()
    ended = subprocess.run(
        [program, *options, *([seeds] if seeds.exists() else [])], capture_output=True, text=True, errors="replace",
        env={**os.environ, "MPFLAGS_PLANTED": str(bug)},
    )  # fmt: skip
    (BUILD / f"{target}-{bug}.log").write_text(ended.stderr)
    found = ended.returncode and re.search("panicked at|ERROR: (Address|Leak)Sanitizer|deadly signal", ended.stderr)
    return time.monotonic() - began if found else None


def tested(arguments, bug):
    """Whether a test fails."""
    ended = cargo(["test", *arguments], TREE, TESTS, bug)
    if ended.returncode and "test result: FAILED" not in ended.stdout:
        sys.exit(f"the tests of the copy in {TREE} do not run:\n{ended.stdout}{ended.stderr}")
    return ended.returncode != 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", help="the bugs of one target")
    parser.add_argument("--first", action="store_true", help="one bug of each target, and no tests")
    options = parser.parse_args()
    bugs = [(number, *bug) for number, bug in enumerate(BUGS, 1) if options.only in (None, bug[0])]
    if options.first:
        bugs = list({bug[1]: bug for bug in reversed(bugs)}.values())[::-1]
    copied()
    built({target for _, target, *_ in bugs})
    found = 0
    for number, target, test, name, *_ in bugs:
        by_target = fuzzed(target, number)
        line = f"{name}: {target} " + ("DID NOT FIND IT" if by_target is None else f"found it in {by_target:.1f} s")
        by_test = options.first or tested(test, number)
        if not options.first:
            line += ", a test fails" if by_test else ", NO TEST FAILS"
        found += by_target is not None and by_test
        print(line, flush=True)
    print(f"{found} of {len(bugs)} bugs found")
    sys.exit(0 if found == len(bugs) > 0 else 1)


if __name__ == "__main__":
    main()
