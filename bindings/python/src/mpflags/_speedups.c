/* The accelerator: writes a context in the binary form of docs/binary.md and evaluates a flag, in one call from Python.
 *
 * It is optional: ctypes is the binding, and this file makes only the one call that programs make all the
 * time, for a local client. It writes dicts of plain values. Anything else is left to the Python code, so that conversions and
 * errors are written once. ctypes passes the address of the library's function, so this file links against nothing.
 *
 * In C because that is one small file, and its module has about 25 kB and needs only the C compiler that cargo links with. In
 * Rust it would be another crate with a dependency for Python's interface, and Rust's standard library a second time.
 *
 * It uses Python's limited API, so one module serves CPython 3.10 and newer. Interpreters without a GIL do not load it, because
 * the walk below relies on the GIL: nothing in it runs Python code or releases the GIL, so no container can change meanwhile.
 */

#define Py_LIMITED_API 0x030A0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The numbers of docs/binary.md. */
enum { VERSION = 0x01, LONG = 0x7f, LONG_DIGITS = 5, NUMBER_DIGITS = 10 };
enum tag { NIL = 0, NO = 1, YES = 2, SIGNED = 3, UNSIGNED = 4, DOUBLE = 5, STRING = 6, ARRAY = 7, OBJECT = 8 };

/* `MPFLAGS_ENCODING_*` in the packed options. */
#define JSON ((uint32_t)1 << 24)
#define BINARY ((uint32_t)2 << 24)
/* Deeper values are left to Python. The library's limit is higher; this one bounds the stack, and stops at cycles. */
#define MAX_DEPTH 64
/* Contexts beyond this are left to Python, and so every length fits the form. */
#define MAX_SIZE ((size_t)1 << 30)

/* -- a growing buffer, on the stack until it is full */

typedef struct {
    unsigned char *bytes;
    size_t used, room;
    unsigned char first[1024];
} Form;

static void form_begin(Form *form) {
    form->bytes = form->first;
    form->room = sizeof form->first;
    form->bytes[0] = VERSION;
    form->used = 1;
}

static void form_end(Form *form) {
    if (form->bytes != form->first) {
        free(form->bytes);
    }
}

/* Like all functions that return bool here: false means that Python has to do it. */
static bool form_grow(Form *form, size_t more) {
    if (form->used > MAX_SIZE || more > MAX_SIZE - form->used) {
        return false;
    }
    size_t room = 2 * (form->used + more);
    unsigned char *before = form->bytes == form->first ? NULL : form->bytes;
    unsigned char *bytes = realloc(before, room);
    if (bytes == NULL) {
        return false;
    }
    if (before == NULL) {
        memcpy(bytes, form->first, form->used);
    }
    form->bytes = bytes;
    form->room = room;
    return true;
}

/* Makes room for `more` bytes. */
static inline bool form_reserve(Form *form, size_t more) {
    return more <= form->room - form->used || form_grow(form, more);
}

static void write_digits(unsigned char *to, uint64_t number, int digits) {
    for (int at = 0; at < digits; at++) {
        to[at] = (unsigned char)(number >> 7 * at & 0x7f);
    }
}

static bool write_number(Form *form, uint64_t number) {
    if (!form_reserve(form, NUMBER_DIGITS)) {
        return false;
    }
    write_digits(form->bytes + form->used, number, NUMBER_DIGITS);
    form->used += NUMBER_DIGITS;
    return true;
}

static bool write_text(Form *form, PyObject *text) {
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    if (utf8 == NULL) {
        /* A lone surrogate, or no memory. */
        PyErr_Clear();
        return false;
    }
    size_t length = (size_t)size;
    if (length > MAX_SIZE || !form_reserve(form, 1 + LONG_DIGITS + length)) {
        return false;
    }
    if (length < LONG) {
        form->bytes[form->used++] = (unsigned char)length;
    } else {
        form->bytes[form->used++] = LONG;
        write_digits(form->bytes + form->used, length, LONG_DIGITS);
        form->used += LONG_DIGITS;
    }
    memcpy(form->bytes + form->used, utf8, length);
    form->used += length;
    return true;
}

/* -- values */

/* Writes what comes before a value: its tag and, in an object, its key. */
static bool write_head(Form *form, enum tag tag, PyObject *key) {
    if (!form_reserve(form, 1)) {
        return false;
    }
    form->bytes[form->used++] = (unsigned char)tag;
    return key == NULL || write_text(form, key);
}

static bool write_integer(Form *form, PyObject *key, PyObject *value) {
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0) {
        return write_head(form, SIGNED, key) && write_number(form, (uint64_t)number);
    }
    if (overflow < 0) {
        return false;
    }
    unsigned long long large = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return write_head(form, UNSIGNED, key) && write_number(form, large);
}

static bool write_double(Form *form, PyObject *key, double number) {
    /* NaN and the infinities. */
    if (number - number != 0) {
        return false;
    }
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return write_head(form, DOUBLE, key) && write_number(form, bits);
}

/* A flag can be bucketed by an attribute of the context, so a whole float has an integer's text there, as in the JSON that
 * Python writes. Larger integers than these are doubles in JSON too. */
static bool write_attribute_double(Form *form, PyObject *key, double number) {
    const double end = 9223372036854775808.0;
    if (number >= -end && number < end && (double)(int64_t)number == number) {
        return write_head(form, SIGNED, key) && write_number(form, (uint64_t)(int64_t)number);
    }
    if (number >= end && number < 2 * end) {
        return write_head(form, UNSIGNED, key) && write_number(form, (uint64_t)number);
    }
    return write_double(form, key, number);
}

static bool write_value(Form *form, PyObject *key, PyObject *value, int depth);

static bool write_members(Form *form, PyObject *dict, int depth) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &key, &value)) {
        if (!PyUnicode_CheckExact(key) || !write_value(form, key, value, depth)) {
            return false;
        }
    }
    return true;
}

static bool write_elements(Form *form, PyObject *sequence, int depth) {
    bool is_list = PyList_CheckExact(sequence);
    Py_ssize_t size = is_list ? PyList_Size(sequence) : PyTuple_Size(sequence);
    for (Py_ssize_t at = 0; at < size; at++) {
        PyObject *item = is_list ? PyList_GetItem(sequence, at) : PyTuple_GetItem(sequence, at);
        if (!write_value(form, NULL, item, depth)) {
            return false;
        }
    }
    return true;
}

/* Writes an object or an array after the length of its content, which is known only then: in one byte if it fits. */
static bool write_container(Form *form, enum tag tag, PyObject *key, PyObject *value, int depth) {
    if (depth > MAX_DEPTH || !write_head(form, tag, key) || !form_reserve(form, 1 + LONG_DIGITS)) {
        return false;
    }
    size_t start = form->used + 1;
    form->used = start;
    if (!(tag == OBJECT ? write_members(form, value, depth + 1) : write_elements(form, value, depth + 1))) {
        return false;
    }
    size_t length = form->used - start;
    if (length < LONG) {
        form->bytes[start - 1] = (unsigned char)length;
        return true;
    }
    if (!form_reserve(form, LONG_DIGITS)) {
        return false;
    }
    memmove(form->bytes + start + LONG_DIGITS, form->bytes + start, length);
    form->bytes[start - 1] = LONG;
    write_digits(form->bytes + start, length, LONG_DIGITS);
    form->used += LONG_DIGITS;
    return true;
}

/* `key` is NULL in an array. Exact types only: a subclass may mean anything. */
static bool write_value(Form *form, PyObject *key, PyObject *value, int depth) {
    if (PyUnicode_CheckExact(value)) {
        return write_head(form, STRING, key) && write_text(form, value);
    }
    if (value == Py_True) {
        return write_head(form, YES, key);
    }
    if (value == Py_False) {
        return write_head(form, NO, key);
    }
    if (PyLong_CheckExact(value)) {
        return write_integer(form, key, value);
    }
    if (PyFloat_CheckExact(value)) {
        double number = PyFloat_AsDouble(value);
        return depth == 0 ? write_attribute_double(form, key, number) : write_double(form, key, number);
    }
    if (PyDict_CheckExact(value)) {
        return write_container(form, OBJECT, key, value, depth);
    }
    if (PyList_CheckExact(value) || PyTuple_CheckExact(value)) {
        return write_container(form, ARRAY, key, value, depth);
    }
    return value == Py_None && write_head(form, NIL, key);
}

/* -- the module */

PyDoc_STRVAR(encode_doc,
             "encode(attributes, /)\n--\n\n"
             "The attributes of a context in the binary form, or None if Python has to write them.");

static PyObject *encode(PyObject *module, PyObject *attributes) {
    (void)module;
    Form form;
    PyObject *encoded = NULL;
    form_begin(&form);
    if (PyDict_CheckExact(attributes) && write_members(&form, attributes, 0)) {
        encoded = PyBytes_FromStringAndSize((char *)form.bytes, (Py_ssize_t)form.used);
    } else {
        encoded = Py_NewRef(Py_None);
    }
    form_end(&form);
    return encoded;
}

/* `mpflags_client_evaluate_packed`. */
typedef uint64_t (*EvaluatePacked)(const void *client, const char *key, size_t key_len, const char *context, size_t context_len,
                                   uint32_t packed_options);

/* No cycle leads through it: it references only what the client does, and nothing of that references the client. So the garbage
 * collector need not know it. */
typedef struct {
    PyObject_HEAD
    EvaluatePacked evaluate_packed;
    /* Where `handle` has its pointer, NULL once that is freed. */
    const void *const *client;
    PyObject *handle;
    PyObject *in_python;
    PyObject *targeting_key;
} Evaluator;

static PyObject *evaluator_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    unsigned long long function, client;
    PyObject *handle, *in_python;
    static char *names[] = {"function", "client", "handle", "in_python", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "KKOO:Evaluator", names, &function, &client, &handle, &in_python)) {
        return NULL;
    }
    PyObject *targeting_key = PyUnicode_InternFromString("targetingKey");
    if (targeting_key == NULL) {
        return NULL;
    }
    Evaluator *self = PyObject_New(Evaluator, type);
    if (self == NULL) {
        Py_DECREF(targeting_key);
        return NULL;
    }
    self->evaluate_packed = (EvaluatePacked)(uintptr_t)function;
    self->client = (const void *const *)(uintptr_t)client;
    self->handle = Py_NewRef(handle);
    self->in_python = Py_NewRef(in_python);
    self->targeting_key = targeting_key;
    return (PyObject *)self;
}

static void evaluator_dealloc(Evaluator *self) {
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF(self->targeting_key);
    Py_DECREF(self->in_python);
    Py_DECREF(self->handle);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* The context, after its attributes the targeting key: of members with equal keys the later counts. */
static bool write_context(const Evaluator *self, Form *form, PyObject *attributes, PyObject *targeting_key) {
    if (!PyDict_CheckExact(attributes) || !write_members(form, attributes, 0)) {
        return false;
    }
    if (targeting_key == Py_None) {
        return true;
    }
    if (!PyUnicode_CheckExact(targeting_key)) {
        return false;
    }
    return PyUnicode_GetLength(targeting_key) == 0 || write_value(form, self->targeting_key, targeting_key, 0);
}

static bool read_options(PyObject *argument, uint32_t *options) {
    unsigned long number = PyLong_AsUnsignedLong(argument);
    *options = (uint32_t)number;
    return number != (unsigned long)-1 || !PyErr_Occurred();
}

/* Whether it evaluated. */
static bool evaluate_here(const Evaluator *self, PyObject *const *arguments, uint32_t options, uint64_t *number) {
    PyObject *flag_key = arguments[0];
    if (!PyUnicode_CheckExact(flag_key)) {
        return false;
    }
    Py_ssize_t key_len;
    const char *key = PyUnicode_AsUTF8AndSize(flag_key, &key_len);
    if (key == NULL) {
        PyErr_Clear();
        return false;
    }
    if (memchr(key, 0, (size_t)key_len) != NULL) {
        return false;
    }
    Form form;
    form_begin(&form);
    bool is_written = write_context(self, &form, arguments[1], arguments[2]);
    if (is_written) {
        const char *bytes = (const char *)form.bytes;
        *number = self->evaluate_packed(*self->client, key, (size_t)key_len, bytes, form.used, options | BINARY);
    }
    form_end(&form);
    return is_written;
}

PyDoc_STRVAR(evaluate_doc,
             "evaluate(flag_key, attributes, targeting_key, options, /)\n--\n\n"
             "The number of a packed evaluation. What this cannot write goes to `in_python`, whose result is returned.");

static PyObject *evaluate(Evaluator *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 4) {
        return PyErr_Format(PyExc_TypeError, "evaluate takes 4 arguments, got %zd", count);
    }
    uint32_t options;
    if (!read_options(arguments[3], &options)) {
        return NULL;
    }
    uint64_t number;
    if (!evaluate_here(self, arguments, options, &number)) {
        return PyObject_CallFunctionObjArgs(self->in_python, arguments[0], arguments[1], arguments[2], arguments[3], NULL);
    }
    return PyLong_FromUnsignedLongLong(number);
}

PyDoc_STRVAR(evaluate_packed_doc,
             "evaluate_packed(key, context, options, /)\n--\n\n"
             "The same for bytes: a flag's key, and a context as JSON or in the binary form.");

static PyObject *evaluate_packed(Evaluator *self, PyObject *const *arguments, Py_ssize_t count) {
    uint32_t options;
    if (count != 3 || !PyBytes_CheckExact(arguments[0]) || !PyBytes_CheckExact(arguments[1])) {
        return PyErr_Format(PyExc_TypeError, "evaluate_packed takes two bytes objects and an int");
    }
    if (!read_options(arguments[2], &options)) {
        return NULL;
    }
    const char *key = PyBytes_AsString(arguments[0]), *context = PyBytes_AsString(arguments[1]);
    size_t key_len = (size_t)PyBytes_Size(arguments[0]), context_len = (size_t)PyBytes_Size(arguments[1]);
    uint32_t encoding = context[0] == VERSION ? BINARY : JSON;
    uint64_t number = self->evaluate_packed(*self->client, key, key_len, context, context_len, options | encoding);
    return PyLong_FromUnsignedLongLong(number);
}

static PyMethodDef evaluator_methods[] = {
    {"evaluate", (PyCFunction)(void (*)(void))evaluate, METH_FASTCALL, evaluate_doc},
    {"evaluate_packed", (PyCFunction)(void (*)(void))evaluate_packed, METH_FASTCALL, evaluate_packed_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(evaluator_doc,
             "Evaluator(function, client, handle, in_python)\n--\n\n"
             "Evaluates with one client: the addresses of `mpflags_client_evaluate_packed` and of the client's pointer, the\n"
             "handle that has this pointer, and a function that evaluates whatever this cannot.");

/* ISO C has no conversion from a function to `void *`, which Python's slots are. */
#define FUNCTION(function) ((void *)(uintptr_t)(function))

static PyType_Slot evaluator_slots[] = {
    {Py_tp_new, FUNCTION(evaluator_new)},
    {Py_tp_dealloc, FUNCTION(evaluator_dealloc)},
    {Py_tp_methods, evaluator_methods},
    {Py_tp_doc, (void *)evaluator_doc},
    {0, NULL},
};

static PyType_Spec evaluator_spec = {
    .name = "mpflags._speedups.Evaluator",
    .basicsize = sizeof(Evaluator),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = evaluator_slots,
};

static int module_exec(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &evaluator_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int result = PyModule_AddObjectRef(module, "Evaluator", type);
    Py_DECREF(type);
    return result;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, FUNCTION(module_exec)},
    {0, NULL},
};

static PyMethodDef module_methods[] = {
    {"encode", encode, METH_O, encode_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_speedups",
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__speedups(void);

PyMODINIT_FUNC PyInit__speedups(void) { return PyModuleDef_Init(&module_definition); }
