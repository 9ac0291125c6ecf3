"""The only Python file that sees pointers: loads `libmpflags`, declares its functions, and copies what they return.

`FUNCTIONS` declares each function that Python calls; a test compares it with `include/mpflags.h`. A function that waits is called
through `CDLL`, which releases the interpreter's lock meanwhile. All others are called through `PyDLL`, which keeps it:
releasing and taking it again would cost more than the call.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from ctypes import POINTER, byref, c_bool, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

from .abi import (
    ABI_REVISION,
    ABI_VERSION,
    ENCODING_BINARY,
    ENCODING_JSON,
    ERROR_CODES,
    KINDS,
    LEVELS,
    OBJECT_OR_ARRAY,
    REASONS,
    STATES,
    Item,
    NotCopyable,
    Outcome,
    evaluate_options,
    loads,
    name_of,
)
from .errors import Closed, InvalidArgument, LibraryError, MpflagsError, Timeout, of_status
from .host import wait
from .speedups import MODULE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    #: A local evaluation: takes a flag's key, a context, the targeting key and options, and returns a number for `resolve`.
    Evaluate: TypeAlias = Callable[[str, Any, str | None, int], int]
    #: The same of a key and a context that are encoded.
    EvaluatePacked: TypeAlias = Callable[[bytes, bytes, int], int]


class Str(ctypes.Structure):
    """`mpflags_str`: borrowed from the handle that the function was called with."""

    _fields_ = [("ptr", c_void_p), ("len", c_size_t)]


class ArrowStream(ctypes.Structure):
    """`struct ArrowArrayStream` of Arrow's C stream interface. A consumer moves it, and leaves `release` NULL."""

    _fields_ = [(name, c_void_p) for name in ("get_schema", "get_next", "get_last_error", "release", "private_data")]


class ArrowSchema(ctypes.Structure):
    """`struct ArrowSchema` of Arrow's C data interface."""

    _fields_ = [
        ("format", c_void_p),
        ("name", c_void_p),
        ("metadata", c_void_p),
        ("flags", c_int64),
        ("n_children", c_int64),
        ("children", c_void_p),
        ("dictionary", c_void_p),
        ("release", c_void_p),
        ("private_data", c_void_p),
    ]


# A wait that cannot run on another thread delays signal handlers by this long at most.
_SLICE_MS = 200

Callback = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)
Drop = ctypes.CFUNCTYPE(None, c_void_p)
_OUT = POINTER(c_void_p)
_TEXT = (c_char_p, c_size_t)

#: Name, result type, argument types, and whether it waits.
FUNCTIONS: tuple[tuple[str, Any, tuple[Any, ...], bool], ...] = (
    ("abi_version", c_uint32, (), False),
    ("abi_revision", c_uint32, (), False),
    ("version", Str, (), False),
    ("error_status", c_int32, (c_void_p,), False),
    ("error_message", Str, (c_void_p,), False),
    ("error_free", None, (c_void_p,), False),
    ("client_new", c_int32, (*_TEXT, _OUT, _OUT), True),
    ("client_start", c_int32, (c_void_p, _OUT), True),
    ("client_wait_ready", c_int32, (c_void_p, c_uint32, _OUT), True),
    ("client_refresh", c_int32, (c_void_p, c_uint32, _OUT), True),
    ("client_state", c_int32, (c_void_p,), False),
    ("client_timeout", c_uint32, (c_void_p, c_uint32), False),
    ("client_shutdown", c_int32, (c_void_p, c_uint32, POINTER(c_uint64), _OUT), True),
    ("client_free", None, (c_void_p,), True),
    ("context_new_encoded", c_int32, (*_TEXT, c_int32, _OUT, _OUT), False),
    ("context_free", None, (c_void_p,), False),
    ("client_get_boolean", c_bool, (c_void_p, *_TEXT, c_void_p, c_int32), False),
    ("client_get_int64", c_int64, (c_void_p, *_TEXT, c_void_p, c_int64), False),
    ("client_get_double", c_double, (c_void_p, *_TEXT, c_void_p, c_double), False),
    ("client_evaluate", c_int32, (c_void_p, *_TEXT, c_void_p, c_uint32, c_uint32, c_uint32, _OUT, _OUT), False),
    ("client_explain", c_int32, (c_void_p, *_TEXT, c_void_p, _OUT, _OUT), False),
    ("client_set_override", c_int32, (c_void_p, *_TEXT, *_TEXT, _OUT), False),
    ("client_clear_override", c_int32, (c_void_p, *_TEXT, _OUT), False),
    ("evaluation_has_value", c_bool, (c_void_p,), False),
    ("evaluation_kind", c_int32, (c_void_p,), False),
    ("evaluation_boolean", c_bool, (c_void_p,), False),
    ("evaluation_int64", c_int64, (c_void_p,), False),
    ("evaluation_double", c_double, (c_void_p,), False),
    ("evaluation_string", Str, (c_void_p,), False),
    ("evaluation_json", Str, (c_void_p,), False),
    ("evaluation_variant", Str, (c_void_p,), False),
    ("evaluation_reason", c_int32, (c_void_p,), False),
    ("evaluation_error_code", c_int32, (c_void_p,), False),
    ("evaluation_message", Str, (c_void_p,), False),
    ("evaluation_key", Str, (c_void_p,), False),
    ("evaluation_experiment_id", Str, (c_void_p,), False),
    ("evaluation_is_experiment_active", c_int32, (c_void_p,), False),
    ("evaluation_is_qa_tester", c_bool, (c_void_p,), False),
    ("evaluation_metadata_json", Str, (c_void_p,), False),
    ("evaluation_free", None, (c_void_p,), False),
    ("client_evaluate_all", c_int32, (c_void_p, c_void_p, c_uint32, c_uint32, _OUT, _OUT), True),
    ("evaluations_count", c_size_t, (c_void_p,), False),
    ("evaluations_at", c_void_p, (c_void_p, c_size_t), False),
    ("evaluations_find", c_void_p, (c_void_p, *_TEXT), False),
    ("evaluations_failure", c_int32, (c_void_p,), False),
    ("evaluations_message", Str, (c_void_p,), False),
    ("evaluations_free", None, (c_void_p,), False),
    ("client_track_exposure", c_int32, (c_void_p, c_void_p, _OUT), False),
    ("client_track", c_int32, (c_void_p, *_TEXT, *_TEXT, *_TEXT, _OUT), False),
    ("client_people_update", c_int32, (c_void_p, *_TEXT, *_TEXT, *_TEXT, _OUT), False),
    ("client_group_update", c_int32, (c_void_p, *_TEXT, *_TEXT, *_TEXT, *_TEXT, _OUT), False),
    ("client_flush", c_int32, (c_void_p, c_uint32, POINTER(c_uint64), _OUT), True),
    ("client_statistics", c_int32, (c_void_p, _OUT, _OUT), False),
    ("text_view", Str, (c_void_p,), False),
    ("text_free", None, (c_void_p,), False),
    ("client_next_item", c_int32, (c_void_p, c_uint32, _OUT, _OUT), True),
    ("item_kind", c_int32, (c_void_p,), False),
    ("item_level", c_int32, (c_void_p,), False),
    ("item_state", c_int32, (c_void_p,), False),
    ("item_message", Str, (c_void_p,), False),
    ("item_key_count", c_size_t, (c_void_p,), False),
    ("item_key", Str, (c_void_p, c_size_t), False),
    ("item_event", Str, (c_void_p,), False),
    ("item_free", None, (c_void_p,), False),
    ("client_on_item", c_int32, (c_void_p, Callback, c_void_p, Drop, _OUT), False),
    (
        "client_evaluate_encoded",
        c_int32,
        (c_void_p, *_TEXT, *_TEXT, c_int32, c_uint32, c_uint32, c_uint32, _OUT, _OUT),
        True,
    ),
    (
        "client_evaluate_table",
        c_int32,
        (c_void_p, POINTER(ArrowStream), *_TEXT, POINTER(ArrowStream), _OUT),
        True,
    ),
    ("client_evaluate_packed", c_uint64, (c_void_p, *_TEXT, *_TEXT, c_uint32), False),
    ("client_evaluate_packed_z", c_uint64, (c_void_p, c_char_p, c_char_p, c_uint32), False),
    ("client_answer", c_void_p, (c_void_p, *_TEXT, c_uint64), False),
    ("evaluation_answer", c_uint64, (c_void_p,), False),
    ("evaluation_context_key", Str, (c_void_p,), False),
    ("evaluations_answers", POINTER(c_uint64), (c_void_p,), False),
)


def _find() -> str:
    named = os.environ.get("MPFLAGS_LIBRARY")
    if named:
        if not os.path.isfile(named):
            raise LibraryError(f"MPFLAGS_LIBRARY is {named!r}, which is not a file")
        return named
    name = "libmpflags.dylib" if sys.platform == "darwin" else "libmpflags.so"
    inside = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    if os.path.isfile(inside):
        return inside
    raise LibraryError(
        f"{name} was not found: the package does not contain it, and MPFLAGS_LIBRARY is not set. Install the package from a"
        f" wheel, or build the library with `cargo build --release -p mpflags-c` and set MPFLAGS_LIBRARY to its path"
    )


class Library:
    """The loaded library: each function of `FUNCTIONS` is an attribute, without the prefix `mpflags_`."""

    def __init__(self, path: str) -> None:
        try:
            releases = ctypes.CDLL(path)
            # PyPy has no way to keep it.
            keeps = ctypes.PyDLL(path) if hasattr(ctypes, "PyDLL") else ctypes.CDLL(path)
            keeps.mpflags_abi_version.restype = keeps.mpflags_abi_revision.restype = c_uint32
            version, revision = keeps.mpflags_abi_version(), keeps.mpflags_abi_revision()
        except (OSError, AttributeError) as error:
            raise LibraryError(f"{path!r} cannot be loaded as libmpflags: {error}") from error
        # Not a newer revision either: the section "For bindings" of the header may change with each.
        if (version, revision) != (ABI_VERSION, ABI_REVISION):
            raise LibraryError(
                f"{path!r} has ABI version {version}, revision {revision}; this package needs version {ABI_VERSION},"
                f" revision {ABI_REVISION}. Install a wheel, which contains its library, or build the library from the"
                " same sources as the package"
            )
        self.path = path
        for name, result, arguments, waits in FUNCTIONS:
            function = getattr(releases if waits else keeps, "mpflags_" + name)
            function.restype = result
            function.argtypes = arguments
            setattr(self, name, function)
        # The same functions for a local client, where they never wait.
        self.evaluate_local = keeps.mpflags_client_evaluate_encoded
        self.evaluate_all_local = keeps.mpflags_client_evaluate_all
        for twin, waiting in (
            (self.evaluate_local, "client_evaluate_encoded"),
            (self.evaluate_all_local, "client_evaluate_all"),
        ):
            twin.restype = c_int32
            twin.argtypes = getattr(self, waiting).argtypes

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


LIB = Library(_find())


def text(borrowed: Str) -> str | None:
    """A copy of a string that the library returned, None for none."""
    return None if borrowed.ptr is None else ctypes.string_at(borrowed.ptr, borrowed.len).decode()


def _fail(status: int, error: c_void_p) -> MpflagsError:
    try:
        message = text(LIB.error_message(error)) or f"status {status}"
    finally:
        LIB.error_free(error)
    return of_status(status, message)


def _call(function: Any, *arguments: Any) -> None:
    """Calls a function whose last parameter is `err`, and raises the error that it returns there."""
    error = c_void_p()
    status = function(*arguments, byref(error))
    if status != 0:
        raise _fail(status, error)


def version() -> str:
    return text(LIB.version()) or ""


class _Handle(NotCopyable):
    """Owns what `pointer` points to, and frees it once, with the last reference to the handle.

    Not a ctypes class: those can be made from each other's bytes and addresses, and each copy would free the pointer too. Code
    that passes `pointer` to the library references the handle during the call, so nothing is freed under it.
    """

    __slots__ = ("__weakref__", "pointer")

    def __init__(self, address: int | None = None) -> None:
        self.pointer = c_void_p(address)


def _free(handle: _Handle, free: Any) -> None:
    # A handle whose `__init__` did not run has no pointer.
    pointer = getattr(handle, "pointer", None)
    if pointer:
        address, pointer.value = pointer.value, None
        free(address)


class ClientHandle(_Handle):
    __slots__ = ()

    def __del__(self, _free: Any = _free, _function: Any = LIB.client_free) -> None:
        _free(self, _function)


class ContextHandle(_Handle):
    __slots__ = ()

    def __del__(self, _free: Any = _free, _function: Any = LIB.context_free) -> None:
        _free(self, _function)


class EvaluationsHandle(_Handle):
    __slots__ = ()

    def __del__(self, _free: Any = _free, _function: Any = LIB.evaluations_free) -> None:
        _free(self, _function)


class EvaluationHandle(_Handle):
    __slots__ = ()

    def __del__(self, _free: Any = _free, _function: Any = LIB.evaluation_free) -> None:
        _free(self, _function)


def _outcome(evaluation: Any) -> Outcome:
    code = LIB.evaluation_error_code(evaluation)
    metadata = text(LIB.evaluation_metadata_json(evaluation))
    return Outcome(
        key=text(LIB.evaluation_key(evaluation)) or "",
        json=text(LIB.evaluation_json(evaluation)) if LIB.evaluation_has_value(evaluation) else None,
        variant=text(LIB.evaluation_variant(evaluation)),
        reason=name_of(REASONS, LIB.evaluation_reason(evaluation)),
        error_code=ERROR_CODES[code] if 0 <= code < len(ERROR_CODES) else "GENERAL",
        message=text(LIB.evaluation_message(evaluation)),
        metadata=loads(metadata) if metadata else {},
        answer=LIB.evaluation_answer(evaluation),
        context_key=text(LIB.evaluation_context_key(evaluation)),
    )


class Evaluations(NotCopyable):
    """The results of all flags for one context. Variants of it reference this, so that their exposure can be reported."""

    __slots__ = ("__weakref__", "_handle", "failure", "message")

    def __init__(self, handle: EvaluationsHandle) -> None:
        self._handle = handle
        code = LIB.evaluations_failure(handle.pointer)
        self.failure = ERROR_CODES[code] if 0 <= code < len(ERROR_CODES) else "GENERAL"
        self.message = text(LIB.evaluations_message(handle.pointer))

    def answers(self) -> list[int]:
        """The number of each result, in order of the flags' keys; 0 for a result without one."""
        count = LIB.evaluations_count(self._handle.pointer)
        return LIB.evaluations_answers(self._handle.pointer)[:count] if count else []

    def outcome(self, index: int) -> Outcome:
        return _outcome(LIB.evaluations_at(self._handle.pointer, index))


# The first byte of the binary form. JSON does not begin with it.
_BINARY_VERSION = 1


def _encoding(context: bytes) -> int:
    return ENCODING_BINARY if context[0] == _BINARY_VERSION else ENCODING_JSON


def _context(encoded: bytes) -> ContextHandle:
    context = ContextHandle()
    _call(LIB.context_new_encoded, *_sized(encoded), _encoding(encoded), byref(context.pointer))
    return context


def _read_text(function: Any, *arguments: Any) -> dict[str, Any]:
    """The JSON object that a function returns as text."""
    out = c_void_p()
    _call(function, *arguments, byref(out))
    try:
        read: dict[str, Any] = loads(text(LIB.text_view(out)) or "{}")
        return read
    finally:
        LIB.text_free(out)


def _sized(*texts: bytes) -> tuple[bytes | int, ...]:
    """Each text and its length, as the library takes them."""
    return tuple(argument for text in texts for argument in (text, len(text)))


#: What `evaluate_packed` passes: ctypes needs 0.1 µs to convert an int into an argument.
_OPTIONS = {
    options: c_uint32(options)
    for value_type in range(OBJECT_OR_ARRAY + 1)
    for options in (evaluate_options(value_type), evaluate_options(value_type, report_exposure=False))
}


# Both release the interpreter's lock, which a producer that is written in Python takes.
_Release = ctypes.CFUNCTYPE(None, c_void_p)
_GetSchema = ctypes.CFUNCTYPE(ctypes.c_int, c_void_p, c_void_p)
_GetLastError = ctypes.CFUNCTYPE(c_char_p, c_void_p)


def _release(structure: ArrowStream | ArrowSchema) -> None:
    """Releases it, unless a consumer has moved it."""
    if structure.release:
        _Release(structure.release)(ctypes.addressof(structure))


class _Capsules:
    """The capsules through which Python programs pass Arrow's structures to each other.

    A capsule usually frees its structure in a C destructor. One that is written in Python would lose the exception that is being
    raised while a frame with a capsule ends. So this keeps each capsule that it makes, and frees it once nothing else references
    it: when the next one is made, or the results that it was made for are dropped.
    """

    def __init__(self) -> None:
        # PyPy has neither.
        api: Any = getattr(ctypes, "pythonapi", None)
        self._works = api is not None and hasattr(sys, "getrefcount")
        if not self._works:
            return
        self._new = ctypes.PYFUNCTYPE(ctypes.py_object, c_void_p, c_char_p, c_void_p)(("PyCapsule_New", api))
        self._pointer = ctypes.PYFUNCTYPE(c_void_p, ctypes.py_object, c_char_p)(("PyCapsule_GetPointer", api))
        self._made: list[tuple[Any, ArrowStream | ArrowSchema]] = []
        self._lock = threading.Lock()
        # What the count is of an object that only such a list references. It depends on the version of Python.
        alone = [(object(), None)]
        self._alone = sys.getrefcount(alone[0][0])

    def stream_in(self, capsule: Any) -> Any:
        """The stream in a capsule that another library made."""
        if not self._works:
            raise LibraryError(
                "evaluate_table needs CPython: this interpreter has no capsules, by which tables are passed"
            )
        return ctypes.cast(self._pointer(capsule, _STREAM), POINTER(ArrowStream))

    def make(self, name: bytes, structure: ArrowStream | ArrowSchema) -> Any:
        self.free_unused()
        capsule = self._new(ctypes.addressof(structure), name, None)
        self._made.append((capsule, structure))
        return capsule

    def free_unused(self) -> None:
        # Finalizers call this, wherever they happen to run. The thread that has the lock frees the rest.
        if not self._lock.acquire(blocking=False):
            return
        try:
            at = 0
            while at < len(self._made):
                if sys.getrefcount(self._made[at][0]) > self._alone:
                    at += 1
                else:
                    _release(self._made.pop(at)[1])
        finally:
            self._lock.release()


# Capsules refer to these names, and may outlive this module.
_STREAM, _SCHEMA = b"arrow_array_stream", b"arrow_schema"
_CAPSULES = _Capsules()
_READ = "these results were read already: call evaluate_table again"


class EvaluatedTable(NotCopyable):
    """The results of `Client.evaluate_table`: an Arrow stream that evaluates a batch of users whenever it is read.

    Pass it to whatever reads the Arrow PyCapsule interface: `pyarrow.table`, `pyarrow.RecordBatchReader.from_stream`,
    `polars.DataFrame`, `pandas.DataFrame.from_arrow`, or a query of DuckDB. It can be read once. It needs neither the client nor
    this object to be alive while it is read, on any thread.
    """

    __slots__ = ("__weakref__", "_unread")

    def __init__(self) -> None:
        # Empty once it is read. A list, because of two threads only one can take from it.
        self._unread = [ArrowStream()]

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The stream, for one consumer. Types are those that docs/tables.md lists, whatever is requested."""
        try:
            stream = self._unread.pop()
        except IndexError:
            raise InvalidArgument(_READ) from None
        return _CAPSULES.make(_STREAM, stream)

    def __arrow_c_schema__(self) -> Any:
        """The types of the columns, which DuckDB reads first. Can be called until the stream is read."""
        schema = ArrowSchema()
        for stream in self._unread:
            address = ctypes.addressof(stream)
            if _GetSchema(stream.get_schema)(address, ctypes.addressof(schema)) != 0:
                message = _GetLastError(stream.get_last_error)(address) or b"the schema cannot be read"
                raise InvalidArgument(message.decode(errors="replace"))
            return _CAPSULES.make(_SCHEMA, schema)
        raise InvalidArgument(_READ)

    def __del__(self, _release: Any = _release, _capsules: _Capsules = _CAPSULES) -> None:
        # Without the attribute if `__init__` did not run.
        for stream in getattr(self, "_unread", ()):
            _release(stream)
        _capsules.free_unused()


class NativeClient(NotCopyable):
    """A client of the library. Usable from any thread; freed with the last reference to it."""

    def __init__(self, config: bytes) -> None:
        self.handle = ClientHandle()
        _call(LIB.client_new, *_sized(config), byref(self.handle.pointer))

    def _call(self, function: Any, *arguments: Any) -> None:
        _call(function, self.handle.pointer, *arguments)

    def start(self) -> None:
        self._call(LIB.client_start)

    def wait_ready(self, timeout_ms: int) -> None:
        if timeout_ms == 0:
            self._ready(0)
        else:
            wait(lambda: self._ready(timeout_ms), lambda: self._ready_in_slices(timeout_ms))

    def _ready(self, timeout_ms: int) -> None:
        self._call(LIB.client_wait_ready, timeout_ms)

    def _ready_in_slices(self, timeout_ms: int) -> None:
        while timeout_ms > _SLICE_MS:
            try:
                return self._ready(_SLICE_MS)
            except Timeout:
                timeout_ms -= _SLICE_MS
        return self._ready(timeout_ms)

    def refresh(self, timeout_ms: int) -> None:
        wait(lambda: self._call(LIB.client_refresh, timeout_ms))

    def state(self) -> str:
        return name_of(STATES, LIB.client_state(self.handle.pointer))

    def timeout_ms(self, which: int) -> int:
        """A timeout of the configuration, or the library's default for it."""
        milliseconds: int = LIB.client_timeout(self.handle.pointer, which)
        return milliseconds

    def shutdown(self, timeout_ms: int) -> int:
        """Returns the number of events that were not delivered. Interrupting the wait ends it as if the time were over."""
        try:
            return wait(lambda: self._end(timeout_ms), lambda: self._end_in_slices(timeout_ms))
        except MpflagsError:
            raise
        except BaseException:
            # Ends at once, and with it the shutdown that is still running on the other thread.
            try:
                self._end(0)
            except MpflagsError:
                pass
            raise

    def _end(self, timeout_ms: int) -> int:
        undelivered = c_uint64()
        self._call(LIB.client_shutdown, timeout_ms, byref(undelivered))
        return undelivered.value

    def _end_in_slices(self, timeout_ms: int) -> int:
        try:
            self._flush_in_slices(timeout_ms)
        except Closed:
            pass
        # Delivered events need no more time, and the others have had theirs.
        return self._end(min(timeout_ms, _SLICE_MS))

    def flush(self, timeout_ms: int) -> int:
        """Returns the number of events that are still queued."""
        if timeout_ms == 0:
            return self._flush(0)
        return wait(lambda: self._flush(timeout_ms), lambda: self._flush_in_slices(timeout_ms))

    def _flush(self, timeout_ms: int) -> int:
        undelivered = c_uint64()
        self._call(LIB.client_flush, timeout_ms, byref(undelivered))
        return undelivered.value

    def _flush_in_slices(self, timeout_ms: int) -> int:
        while timeout_ms > _SLICE_MS and self._flush(_SLICE_MS):
            timeout_ms -= _SLICE_MS
        return self._flush(min(timeout_ms, _SLICE_MS))

    def evaluate_packed(self) -> EvaluatePacked:
        """The call of a local evaluation: takes key, context and options, and returns a number for `resolve`."""
        if MODULE is not None:
            crossing: EvaluatePacked = self._accelerator(None).evaluate_packed
            return crossing
        # A call in progress references the handle.
        handle = self.handle

        def evaluate_packed(key: bytes, context: bytes, options: int) -> int:
            if context[0] != _BINARY_VERSION:
                # An encoder writes no NUL, and a key has none.
                number: int = LIB.client_evaluate_packed_z(handle.pointer, key, context, _OPTIONS[options])
            else:
                binary = options | ENCODING_BINARY << 24
                number = LIB.client_evaluate_packed(handle.pointer, *_sized(key, context), binary)
            return number

        return evaluate_packed

    def accelerated(self, evaluate: Evaluate) -> Evaluate:
        """`evaluate` itself, or the accelerator, which calls it for what only Python can do."""
        return evaluate if MODULE is None else self._accelerator(evaluate).evaluate

    def _accelerator(self, in_python: Evaluate | None) -> Any:
        assert MODULE is not None
        function = ctypes.cast(LIB.client_evaluate_packed, c_void_p).value
        # Not the pointer but its place: it is NULL once the client is freed.
        return MODULE.Evaluator(function, ctypes.addressof(self.handle.pointer), self.handle, in_python)

    def resolve(self, key: bytes, number: int) -> Outcome | None:
        """The outcome behind a number; None if the flag's definition was replaced since.

        Consumes a number that is a pointer, so each number is resolved once.
        """
        evaluation = EvaluationHandle(
            LIB.client_answer(self.handle.pointer, *_sized(key), number) if number & 1 else number
        )
        return _outcome(evaluation.pointer) if evaluation.pointer else None

    def evaluate(
        self, key: bytes, context: bytes, options: int, timeout_ms: int, waits: bool
    ) -> tuple[Outcome, EvaluationHandle]:
        evaluation = EvaluationHandle()
        function = LIB.client_evaluate_encoded if waits else LIB.evaluate_local

        def call() -> None:
            # Keeps the handle alive until the library is done with it, even if the wait is interrupted.
            value_type, bits = options & 0xFF, options >> 8
            arguments = (*_sized(key, context), _encoding(context), value_type, bits, timeout_ms)
            self._call(function, *arguments, byref(evaluation.pointer))

        if waits:
            wait(call)
        else:
            call()
        return _outcome(evaluation.pointer), evaluation

    def evaluate_all(self, context: bytes, timeout_ms: int, waits: bool) -> Evaluations:
        parsed, evaluations = _context(context), EvaluationsHandle()
        function = LIB.client_evaluate_all if waits else LIB.evaluate_all_local

        def call() -> None:
            self._call(function, parsed.pointer, 0, timeout_ms, byref(evaluations.pointer))

        if waits:
            wait(call)
        else:
            call()
        return Evaluations(evaluations)

    def evaluate_table(self, users: Any, options: bytes) -> EvaluatedTable:
        """`users` is the capsule of an Arrow stream, which the library takes."""
        stream, table = _CAPSULES.stream_in(users), EvaluatedTable()
        self._call(LIB.client_evaluate_table, stream, *_sized(options), byref(table._unread[0]))
        return table

    def track_exposure(self, evaluated: EvaluationHandle | Evaluations, key: bytes) -> None:
        """Reports the exposure of an evaluation, or of the one of flag `key` among many."""
        if isinstance(evaluated, Evaluations):
            self._call(LIB.client_track_exposure, LIB.evaluations_find(evaluated._handle.pointer, *_sized(key)))
        else:
            self._call(LIB.client_track_exposure, evaluated.pointer)

    def statistics(self) -> dict[str, Any]:
        return _read_text(LIB.client_statistics, self.handle.pointer)

    def explain(self, key: bytes, context: bytes) -> dict[str, Any]:
        parsed = _context(context)
        return _read_text(LIB.client_explain, self.handle.pointer, *_sized(key), parsed.pointer)

    def track(self, event: bytes, distinct_id: bytes, properties: bytes) -> None:
        self._call(LIB.client_track, *_sized(event, distinct_id, properties))

    def people_update(self, operation: bytes, distinct_id: bytes, value: bytes) -> None:
        self._call(LIB.client_people_update, *_sized(operation, distinct_id, value))

    def group_update(self, operation: bytes, group_key: bytes, group_id: bytes, value: bytes) -> None:
        self._call(LIB.client_group_update, *_sized(operation, group_key, group_id, value))

    def set_override(self, key: bytes, value: bytes) -> None:
        self._call(LIB.client_set_override, *_sized(key, value))

    def clear_override(self, key: bytes) -> None:
        self._call(LIB.client_clear_override, *_sized(key))

    def next_item(self, timeout_ms: int) -> Item | None:
        """The next item, None if none came in time. Raises `Closed` once the client is shut down."""
        out = c_void_p()
        try:
            if timeout_ms == 0:
                self._call(LIB.client_next_item, 0, byref(out))
            else:
                wait(lambda: self._call(LIB.client_next_item, timeout_ms, byref(out)))
        except Timeout:
            return None
        try:
            return Item(
                kind=name_of(KINDS, LIB.item_kind(out)),
                level=name_of(LEVELS, LIB.item_level(out)),
                state=name_of(STATES, LIB.item_state(out)),
                message=text(LIB.item_message(out)) or text(LIB.item_event(out)) or "",
                keys=tuple(text(LIB.item_key(out, index)) or "" for index in range(LIB.item_key_count(out))),
            )
        finally:
            LIB.item_free(out)
