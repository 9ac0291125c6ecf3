#!/usr/bin/env python3
"""Writes inputs for the targets to begin with, from fuzz/corpus, the vectors and the options of the library, into FOLDER/TARGET.

    fuzz/seeds.py FOLDER
    fuzz/seeds.py --keep FOLDER TARGET...    the other way: fuzz/corpus gets the inputs in FOLDER/TARGET
"""
import ast
import hashlib
import json
import pathlib
import re
import shutil
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
VECTORS = ROOT / "conformance/vectors"
# For each target a file, with an input on each line, as Python writes bytes.
CORPUS = ROOT / "fuzz/corpus"


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def vectors(suite):
    for path in sorted((VECTORS / suite).glob("*.json")):
        yield from json.loads(path.read_text())["vectors"]


def document(flags):
    if isinstance(flags, str):
        return flags if flags.startswith("{") else (VECTORS / "flags" / flags).read_text()
    return compact(flags)


def texts(value):
    """The strings in a JSON value."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(inner)


def of_context(context):
    return context if isinstance(context, str) else compact(context)


def length(number):
    return bytes([number]) if number < 0x7F else b"\x7f" + digits(number, 5)


def digits(number, count):
    return bytes(number >> 7 * place & 0x7F for place in range(count))


def text(value):
    encoded = value.encode("utf-8", "surrogatepass")
    return length(len(encoded)) + encoded


def member(value, key=b""):
    """A value in the binary form, docs/binary.md."""
    if isinstance(value, bool) or value is None:
        return bytes([{None: 0, False: 1, True: 2}[value]]) + key
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return bytes([4 if value >= 2**63 else 3]) + key + digits(value % 2**64, 10)
    if isinstance(value, int | float):
        return b"\5" + key + digits(int.from_bytes(struct.pack("<d", float(value)), "little"), 10)
    if isinstance(value, str):
        return b"\6" + key + text(value)
    content = b"".join(map(member, value)) if isinstance(value, list) else members(value)
    return bytes([7 if isinstance(value, list) else 8]) + key + length(len(content)) + content


def members(value):
    return b"".join(member(inner, text(key)) for key, inner in value.items())


def forms(contexts):
    for context in contexts:
        if isinstance(context, dict):
            yield b"\1" + members(context)
    long = {"distinct_id": "u1", "custom_properties": {"plan": "long " * 40, "n": [1, {"a": "b" * 130}]}}
    yield b"\1" + members(long)
    # The last byte of a long subject decides the variant.
    for last in "01234567":
        yield b"\1" + members({"distinct_id": "u" * 150 + last})


def rules():
    for vector in vectors("rules"):
        rule = vector.get("rule_text", compact(vector.get("rule")))
        yield f'[{rule},{vector.get("data_text", compact(vector.get("data")))}]'


def operands(operator, others=()):
    for vector in vectors("rules"):
        if operator in compact(vector.get("rule")):
            yield from (text for text in texts([vector["rule"], vector.get("data")]) if len(text) > 3)
    yield from others


def configs():
    values = {
        "Token": ['"t"'], "ModeName": ['"local"', '"remote"'], "LevelName": ['"debug"'], "Switch": ["true", "false"],
        "Account": ['{"username":"u","secret":"s3cret","project_id":"1"}'], "FilePath": ['"/tmp/x"'],
        "Hosts": ['"api-eu.mixpanel.com"', '"http://127.0.0.1:8080/base"', '"https://[::1]:1"', '["cache.example","[::1]:1"]'],
        "Object": ['{"flags":[]}'], "Overrides": ['{"f":true,"g":[1,{"a":null}]}'], "Text": ['"distinct_id"'],
        "ProxyUrl": ['""', '"http://u:p@localhost:3128"'], "Wrapper": ['"python/1"', f'"{"x" * 64}"'],
    }  # fmt: skip
    rows = re.findall(r'^    \w+ "(\w+)" (\w+)(?:\(([^)]*)\))?', (ROOT / "src/config/options.rs").read_text(), re.MULTILINE)
    for key, kind, limits in rows:
        numbers = [number.replace("_", "") for number in re.findall(r"\d[\d_]*", limits)]
        for value in values.get(kind, numbers):
            host = "" if key == "api_host" else ',"api_host":"http://127.0.0.1:1"'
            yield f'{{"token":"T0KEN"{host},"{key}":{value}}}'


def responses():
    flags = {"f": {"variant_key": "on", "variant_value": {"a": [1, "x"]}, "experiment_id": 7, "is_experiment_active": True,
                   "is_qa_tester": False}, "g": None, "h": {"variant_key": None}}  # fmt: skip
    yield 200, "", compact({"code": 200, "flags": flags})
    yield 200, "", '{"flags":{"f":{"variant_key":"a","variant_value":1e400}}}'
    yield 200, "", '{"flags":{"f":{"variant_key":"a","variant_value":1},"f":{"variant_key":"b","variant_value":2}}}'
    yield 401, "", '{"error":"unauthorized"}'
    yield 429, "Retry-After: 7\r\n", ""
    yield 500, "Retry-After: Sun, 29 Nov 2026 18:00:00 GMT\r\n", "<html>oops</html>"
    yield 302, "Location: http://localhost/\r\n", ""
    yield 200, "", '{"status":1,"error":null}'
    yield 200, "", '{"status":0,"error":"wrong"}'
    yield 200, "", '{"code":200,"num_records_imported":2,"status":"OK"}'
    yield 400, "", '{"code":400,"error":"some","failed_records":[{"index":1,"insert_id":"x","field":"time","message":"bad"}]}'
    yield 413, "", ""
    yield 415, "", ""


def http():
    for status, headers, body in responses():
        yield f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"
    yield "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"sta\r\n8\r\ntus\":1}}\r\n0\r\n\r\n"


def write(folder):
    shutil.rmtree(folder, ignore_errors=True)
    evaluated = list(vectors("evaluate"))
    of_rules = [of_context({"id": 1, "custom_properties": vector["data"]}) for vector in vectors("rules") if "data" in vector]
    seeds = {
        "definitions": [document(vector["flags"]) for vector in evaluated],
        "context_binary": forms(vector["context"] for vector in evaluated),
        "context_json": [of_context(vector["context"]) for vector in evaluated] + of_rules,
        "rules": rules(),
        "semver": ["\n".join(pair) for pair in zip(*[operands("semver_compare", ["1.0.0-rc.1+x"])] * 3)],
        "datetime": operands("datetime_compare", ["2026-07-16T23:59:59.999-23:59"]),
        "config": configs(),
        "cache": [document(vector["flags"]) for vector in evaluated[:20]]
        + ["mpflags definitions 1\n2 08f44b07b5901a25 \n{}", "mpflags definitions 1\n0 cbf29ce484222325 \n"],
        "remote": http(),
        "events": [f"{first}{response}" for first in "01" for response in http()],
    }
    for target, inputs in seeds.items():
        encoded = [seed.encode("utf-8", "surrogatepass") if isinstance(seed, str) else seed for seed in inputs]
        store(folder / target, [seed for seed in encoded if len(seed) <= 4096])
    for kept in CORPUS.glob("*"):
        store(folder / kept.name, map(ast.literal_eval, kept.read_text().splitlines()))


def store(folder, inputs):
    folder.mkdir(parents=True, exist_ok=True)
    for seed in inputs:
        (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


def keep(folder, targets):
    CORPUS.mkdir(exist_ok=True)
    for target in targets:
        inputs = sorted((path.read_bytes() for path in (folder / target).iterdir()), key=lambda seed: (len(seed), seed))
        (CORPUS / target).write_text("".join(f"{seed!r}\n" for seed in inputs))


def main():
    if sys.argv[1] == "--keep":
        keep(pathlib.Path(sys.argv[2]), sys.argv[3:])
    else:
        write(pathlib.Path(sys.argv[1]))


if __name__ == "__main__":
    main()
