"""mpflags as a worker, with the command "evaluate" of python_worker.py, through libmpflags.so. Each context is evaluated in three forms:
as text, in the binary form and as a handle. All results must be the same. The result of a variant includes its reason."""
import json
import sys
from ctypes import CDLL, POINTER, Structure, byref, c_bool, c_char_p, c_int32, c_size_t, c_uint32, c_void_p, string_at

from binary import form

JSON, BINARY = 1, 2
ANY = 0
NO_EXPOSURE = 1
ERRORS = {2: "not_found", 3: "malformed", 5: "missing", 6: "invalid_context"}
DISABLED = 5
REASONS = {1: "STATIC", 2: "DEFAULT", 3: "TARGETING_MATCH", 4: "SPLIT"}
ACTIVE = {0: None, 1: False, 2: True}
ABI_VERSION = 0


class Str(Structure):
    _fields_ = [("ptr", c_void_p), ("len", c_size_t)]

    def text(self):
        return string_at(self.ptr, self.len).decode() if self.ptr else None


def library(path):
    lib = CDLL(path)
    out = POINTER(c_void_p)
    for name, returns, *arguments in [
        ("abi_version", c_uint32),
        ("client_new", c_int32, c_char_p, c_size_t, out, out),
        ("client_free", None, c_void_p),
        ("context_new_json", c_int32, c_char_p, c_size_t, out, out),
        ("context_free", None, c_void_p),
        ("client_evaluate", c_int32, c_void_p, c_char_p, c_size_t, c_void_p, c_uint32, c_uint32, c_uint32, out, out),
        ("client_evaluate_encoded", c_int32, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_int32, c_uint32, c_uint32, c_uint32, out, out),
        ("evaluation_has_value", c_bool, c_void_p),
        ("evaluation_json", Str, c_void_p),
        ("evaluation_variant", Str, c_void_p),
        ("evaluation_reason", c_int32, c_void_p),
        ("evaluation_error_code", c_int32, c_void_p),
        ("evaluation_message", Str, c_void_p),
        ("evaluation_experiment_id", Str, c_void_p),
        ("evaluation_is_experiment_active", c_int32, c_void_p),
        ("evaluation_is_qa_tester", c_bool, c_void_p),
        ("evaluation_free", None, c_void_p),
        ("error_message", Str, c_void_p),
        ("error_free", None, c_void_p),
    ]:
        function = getattr(lib, f"mpflags_{name}")
        function.restype, function.argtypes = returns, arguments
    if lib.mpflags_abi_version() != ABI_VERSION:
        sys.exit(f"{path} has ABI version {lib.mpflags_abi_version()}, expected {ABI_VERSION}")
    return lib


class Mpflags:
    def __init__(self, path):
        self.lib = library(path)

    def message(self, error):
        text = self.lib.mpflags_error_message(error).text()
        self.lib.mpflags_error_free(error)
        return text

    def client(self, document):
        config = '{"token":"t","enable_polling":false,"report_exposures":false,"definitions":' + document + "}"
        config = config.encode()
        client, error = c_void_p(), c_void_p()
        if self.lib.mpflags_client_new(config, len(config), byref(client), byref(error)):
            return None, self.message(error)
        return client, None

    def result(self, evaluation):
        lib = self.lib
        try:
            if lib.mpflags_evaluation_has_value(evaluation):
                return (
                    "variant",
                    lib.mpflags_evaluation_variant(evaluation).text(),
                    lib.mpflags_evaluation_json(evaluation).text(),
                    lib.mpflags_evaluation_experiment_id(evaluation).text(),
                    ACTIVE[lib.mpflags_evaluation_is_experiment_active(evaluation)],
                    lib.mpflags_evaluation_is_qa_tester(evaluation),
                    REASONS.get(lib.mpflags_evaluation_reason(evaluation)),
                )
            code = lib.mpflags_evaluation_error_code(evaluation)
            if code:
                return (ERRORS.get(code, f"error {code}"), lib.mpflags_evaluation_message(evaluation).text())
            return ("disabled" if lib.mpflags_evaluation_reason(evaluation) == DISABLED else "no_match",)
        finally:
            lib.mpflags_evaluation_free(evaluation)

    def encoded(self, client, key, context, encoding):
        out, error = c_void_p(), c_void_p()
        status = self.lib.mpflags_client_evaluate_encoded(
            client, key, len(key), context, len(context), encoding, ANY, NO_EXPOSURE, 0, byref(out), byref(error)
        )
        return ("failed", status, self.message(error)) if status else self.result(out)

    def from_handle(self, client, key, context):
        handle, out, error = c_void_p(), c_void_p(), c_void_p()
        if self.lib.mpflags_context_new_json(context, len(context), byref(handle), byref(error)):
            return ("invalid_context", self.message(error))
        status = self.lib.mpflags_client_evaluate(client, key, len(key), handle, ANY, NO_EXPOSURE, 0, byref(out), byref(error))
        got = ("failed", status, self.message(error)) if status else self.result(out)
        self.lib.mpflags_context_free(handle)
        return got

    def evaluate(self, item):
        client, refusal = self.client(item["document"])
        if client is None:
            return {"distinct": [["definitions refused", refusal]], "picks": [0] * len(item["contexts"])}
        key = item["key"].encode()
        seen, distinct, picks = {}, [], []
        for context in item["contexts"]:
            binary, context = form(context), context.encode()
            got = self.encoded(client, key, context, JSON)
            others = (self.encoded(client, key, binary, BINARY), self.from_handle(client, key, context))
            if any(other != got for other in others):
                got = ("different results", got, *others)
            if got not in seen:
                seen[got] = len(distinct)
                distinct.append(got)
            picks.append(seen[got])
        self.lib.mpflags_client_free(client)
        return {"distinct": [readable(one) for one in distinct], "picks": picks}


def readable(result):
    if result[0] == "variant":
        kind, variant, value, *rest = result
        return [kind, variant, json.loads(value), *rest]
    return list(result)


def main():
    mpflags = Mpflags(sys.argv[1])
    for line in sys.stdin:
        replies = [mpflags.evaluate(item) for item in json.loads(line)["documents"]]
        sys.stdout.write(json.dumps(replies) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
