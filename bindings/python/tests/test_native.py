"""The declarations of `_native.py` match the header. The library is found, and refused if it does not match the package."""

import ast
import ctypes
import ctypes.util
import os
import re
import subprocess
import sys

import pytest
import stand_in

from mpflags import _native, abi

HEADER = (stand_in.ROOT / "include" / "mpflags.h").read_text()
CODE = re.sub(r"/\*.*?\*/|//[^\n]*", "", HEADER, flags=re.DOTALL)

# The ctypes type of each C type. Pointers to opaque handles are addresses; pointers to such pointers are typed.
TYPES = {
    "void": None,
    "bool": ctypes.c_bool,
    "int32_t": ctypes.c_int32,
    "mpflags_status": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "double": ctypes.c_double,
    "size_t": ctypes.c_size_t,
    "const char *": ctypes.c_char_p,
    "uint64_t *": ctypes.POINTER(ctypes.c_uint64),
    "const uint64_t *": ctypes.POINTER(ctypes.c_uint64),
    "mpflags_str": _native.Str,
    "mpflags_callback": _native.Callback,
    "mpflags_drop": _native.Drop,
    "void *": ctypes.c_void_p,
    "struct ArrowArrayStream *": ctypes.POINTER(_native.ArrowStream),
}
WAITS = {
    "client_new",
    "client_start",
    "client_wait_ready",
    "client_refresh",
    "client_shutdown",
    "client_free",
    "client_evaluate_all",
    "client_evaluate_encoded",
    "client_evaluate_table",
    "client_flush",
    "client_next_item",
}


def typed(words: str) -> object:
    """The ctypes type of a C type in the header's spelling."""
    text = re.sub(r"\s*\*\s*", " *", " ".join(words.split())).replace("* *", "**").replace(" **", " **")
    if text in TYPES:
        return TYPES[text]
    stars = text.count("*")
    assert re.fullmatch(r"(const )?mpflags_\w+ ?\**( \*)*", text), f"an unknown type: {words!r}"
    return ctypes.POINTER(ctypes.c_void_p) if stars == 2 else ctypes.c_void_p


def declared() -> dict[str, tuple[object, list[object]]]:
    found = {}
    for result, name, parameters in re.findall(r"^([\w *]+?)\bmpflags_(\w+)\(([^)]*)\);", CODE, re.MULTILINE):
        arguments = []
        for parameter in parameters.split(","):
            # Drop the parameter's name, which `*` is attached to.
            kind = re.sub(r"\w+\s*$", "", parameter.strip()) if parameter.strip() != "void" else ""
            if kind:
                arguments.append(typed(kind.strip()))
        found[name] = (typed(result.strip()), arguments)
    return found


#: What Python does in another way: `abi.py` has the names of numbers, and a context is a dict.
UNUSED = {
    "context_new_json",
    *(f"{number}_name" for number in ("error", "kind", "level", "reason", "state", "status", "type")),
    *(name for name in re.findall(r"\bmpflags_(\w+)\(", CODE) if name.startswith("context_builder_")),
}


def test_every_function_is_declared_as_the_header_has_it():
    in_header = declared()
    assert len(in_header) > 60
    ours = {name: (result, list(arguments)) for name, result, arguments, _ in _native.FUNCTIONS}
    assert len(ours) == len(_native.FUNCTIONS)
    assert set(in_header) - set(ours) == UNUSED
    for name, declaration in ours.items():
        assert in_header[name] == declaration, name


def test_functions_that_block_release_the_interpreter():
    assert {name for name, _, _, waits in _native.FUNCTIONS if waits} == WAITS
    # The header says "Blocks for" about functions with a timeout.
    for name in re.findall(r"Blocks for[^/]*?\*/\s*[\w *]*?mpflags_(\w+)\(", HEADER):
        assert name in WAITS, name
    for name, _, _, waits in _native.FUNCTIONS:
        function = getattr(_native.LIB, name)
        keeps = bool(function._flags_ & 4)  # FUNCFLAG_PYTHONAPI
        assert keeps is not waits, name
    assert _native.LIB.evaluate_local._flags_ & 4


def test_the_numbers_are_the_headers():
    numbers = {name: int(value) for name, value in re.findall(r"#define MPFLAGS_(\w+) (\d+)\b", CODE)}
    assert numbers["ABI_VERSION"] == abi.ABI_VERSION
    assert numbers["ABI_REVISION"] == abi.ABI_REVISION

    def group(prefix: str, names: tuple[str | None, ...]) -> None:
        wanted = {value: name.removeprefix(prefix) for name, value in numbers.items() if name.startswith(prefix)}
        assert {number: (name or "NONE").upper() for number, name in enumerate(names)} == wanted, prefix

    group("REASON_", abi.REASONS)
    group("ERROR_", abi.ERROR_CODES)
    group("STATE_", abi.STATES)
    group("ITEM_", abi.KINDS)
    group("LEVEL_", abi.LEVELS)
    types = ("ANY", "BOOLEAN", "STRING", "INT64", "DOUBLE", "OBJECT", "OBJECT_OR_ARRAY")
    assert {name: getattr(abi, name) for name in types} == {name: numbers[f"TYPE_{name}"] for name in types}
    assert numbers["OPTION_NO_EXPOSURE"] == abi.NO_EXPOSURE
    assert (numbers["ANSWER_NO_MATCH"], numbers["ANSWER_DISABLED"]) == (abi.NO_MATCH, abi.DISABLED)
    assert (numbers["ENCODING_JSON"], numbers["ENCODING_BINARY"]) == (abi.ENCODING_JSON, abi.ENCODING_BINARY)


def test_every_status_that_a_program_can_act_on_is_a_class():
    from mpflags import errors

    statuses = {int(value): name for name, value in re.findall(r"#define MPFLAGS_(\w+) (\d\d)\b", CODE)}
    ours = {"NULL_ARGUMENT", "INVALID_UTF8", "UNKNOWN_BIT", "PANIC", "GENERAL"}
    for status, name in statuses.items():
        error = errors.of_status(status, "text")
        assert (error.status, str(error)) == (status, "text")
        assert (type(error) is errors.MpflagsError) is (name in ours), name
    unknown = errors.of_status(77, "text")
    assert (type(unknown), unknown.status) == (errors.MpflagsError, 77)


def test_a_number_that_is_not_known_is_no_crash():
    assert abi.name_of(abi.REASONS, 99) == "UNKNOWN"
    assert abi.name_of(abi.KINDS, -1) == "none"


def load(**environment: str) -> str:
    program = "import mpflags"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else "loaded"


def test_the_library_is_found_or_the_error_says_how(tmp_path, library):
    assert load(MPFLAGS_LIBRARY=str(library)) == "loaded"
    missing = load(MPFLAGS_LIBRARY=str(tmp_path / "nowhere.so"))
    assert "LibraryError" in missing
    assert "which is not a file" in missing
    if not (stand_in.ROOT / "bindings/python/src/mpflags/libmpflags.so").exists():
        assert "cargo build --release -p mpflags-c" in load(MPFLAGS_LIBRARY="")
    text = tmp_path / "text.so"
    text.write_text("no library")
    assert "cannot be loaded as libmpflags" in load(MPFLAGS_LIBRARY=str(text))
    libc = ctypes.util.find_library("c")
    other = next(
        path for path in ("/lib/x86_64-linux-gnu", "/usr/lib64", "/lib/aarch64-linux-gnu") if os.path.isdir(path)
    )
    assert "cannot be loaded as libmpflags" in load(MPFLAGS_LIBRARY=os.path.join(other, str(libc)))


def test_a_library_of_another_revision_is_refused(monkeypatch, library):
    monkeypatch.setattr(_native, "ABI_REVISION", abi.ABI_REVISION + 1)
    wanted = (
        rf"has ABI version 0, revision {abi.ABI_REVISION}; "
        rf"this package needs version 0, revision {abi.ABI_REVISION + 1}"
    )
    with pytest.raises(_native.LibraryError, match=wanted):
        _native.Library(str(library))


# Which file imports which, types included: only files above it, so that there is no circle.
LAYERS = {
    "errors": set(),
    "abi": set(),
    "variants": {"abi"},
    "host": {"errors"},
    "speedups": set(),
    "_native": {"abi", "errors", "host", "speedups"},
    "options": set(),
    "items": {"_native", "abi", "errors"},
    "config": {"errors", "items", "options"},
    "context": {"abi", "errors", "speedups"},
    "encoder": {"context", "errors", "items"},
    "pool": {"abi", "errors"},
    "runtime": {"_native", "abi", "errors", "host", "items", "pool"},
    "client": {"_native", "abi", "config", "context", "encoder", "errors", "items", "options", "runtime", "variants"},
    "mixpanel": {"abi", "client", "config", "context", "errors", "options"},
    "lifecycle": {"abi", "client"},
    "details": {"abi", "variants"},
    "foreign": {"abi", "details", "variants"},
    "openfeature": {
        *(
            "abi",
            "client",
            "config",
            "details",
            "errors",
            "foreign",
            "items",
            "lifecycle",
            "mixpanel",
            "options",
        ),
    },
    "spark": {"client", "config", "errors"},
    "sample_ratio": set(),
    "planning": {"client", "config", "errors", "sample_ratio"},
    "table_command": {"errors", "planning"},
    "table": {"planning", "table_command"},
    "testing": {"abi", "client", "config", "openfeature"},
    "__init__": {"_native", "abi", "client", "config", "context", "errors", "mixpanel", "variants"},
}


def test_files_import_only_files_above_them():
    sources = stand_in.ROOT / "bindings" / "python" / "src" / "mpflags"
    assert {file.stem for file in sources.glob("*.py")} == set(LAYERS)
    above: set[str] = set()
    for name, allowed in LAYERS.items():
        assert allowed <= above, name
        above.add(name)
        tree = ast.parse((sources / f"{name}.py").read_text())
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
        found = {node.module for node in imports if node.module}
        assert found == allowed, name
        absolute = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        absolute |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0}
        # Pointers are in one file.
        if "ctypes" in absolute:
            assert name == "_native", name
        if any(module.startswith("openfeature") for module in absolute):
            assert name in ("openfeature", "lifecycle", "details", "foreign"), name
