/* The contract at its edges: every argument of every function is NULL, malformed or unknown once, and only those outputs
 * are written that the header promises. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpflags.h"

static int failures;

#define CHECK(condition) \
    do { if (!(condition)) { failures++; fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); } } while (0)

static bool is(mpflags_str text, const char *expected, size_t len)
{
    return text.ptr != NULL && text.len == len && memcmp(text.ptr, expected, len) == 0 && text.ptr[len] == '\0';
}

#define IS(text, literal) is((text), MPFLAGS_S(literal))
#define IS_NONE(text) ((text).ptr == NULL && (text).len == 0)

#define FLAG(key, context, rest) "{\"key\": \"" key "\", \"context\": \"" context "\", \"hash_salt\": null, " rest \
    ", \"rollout\": [{\"rollout_percentage\": 1}]}}"
#define ONE(value) "\"ruleset\": {\"variants\": [{\"key\": \"v\", \"value\": " value ", \"split\": 1}]"

/* A flag for each kind of value. `bad` is malformed, which is logged. */
#define CONFIG "{\"token\": \"t\", \"enable_polling\": false, \"definitions\": {\"flags\": [" \
    FLAG("boolean", "id", ONE("true")) "," FLAG("string", "id", ONE("\"a\\u0000b\"")) "," \
    FLAG("int", "id", ONE("-42")) "," FLAG("double", "id", ONE("1.5")) "," \
    FLAG("object", "id", ONE("{\"a\": [1, 2]}")) "," FLAG("array", "id", ONE("[]")) "," \
    FLAG("null", "id", ONE("null")) "," FLAG("", "id", ONE("7")) "," \
    FLAG("experiment", "id", "\"experiment_id\": \"e-1\", \"is_experiment_active\": true, " ONE("true")) "," \
    "{\"key\": \"bad\"}]}}"

/* All arguments of functions that return a status. */
struct call {
    const mpflags_client *client;
    const char *text;
    size_t text_len;
    const char *second;
    size_t second_len;
    const char *third;
    size_t third_len;
    const mpflags_context *context;
    const mpflags_evaluation *evaluation;
    int32_t encoding;
    uint32_t type, options;
    mpflags_callback callback;
    void **out;
    mpflags_error **err;
};

static int dropped;
static void callback(const mpflags_item *item, void *user_data) { (void)item; (void)user_data; }
static void drop(void *user_data) { (void)user_data; dropped++; }

static mpflags_status client_new(const struct call *c)
{ return mpflags_client_new(c->text, c->text_len, (mpflags_client **)c->out, c->err); }
static mpflags_status context_new(const struct call *c)
{ return mpflags_context_new_json(c->text, c->text_len, (mpflags_context **)c->out, c->err); }
static mpflags_status context_new_encoded(const struct call *c)
{
    return mpflags_context_new_encoded(c->second, c->second_len, c->encoding, (mpflags_context **)c->out, c->err);
}
static mpflags_status start(const struct call *c) { return mpflags_client_start(c->client, c->err); }
static mpflags_status wait_ready(const struct call *c) { return mpflags_client_wait_ready(c->client, 0, c->err); }
static mpflags_status refresh(const struct call *c) { return mpflags_client_refresh(c->client, 0, c->err); }
static mpflags_status shut(const struct call *c) { return mpflags_client_shutdown(c->client, 1000, NULL, c->err); }
static mpflags_status next(const struct call *c)
{ return mpflags_client_next_item(c->client, 0, (mpflags_item **)c->out, c->err); }
static mpflags_status set_override(const struct call *c)
{ return mpflags_client_set_override(c->client, c->text, c->text_len, c->second, c->second_len, c->err); }
static mpflags_status clear_override(const struct call *c)
{ return mpflags_client_clear_override(c->client, c->text, c->text_len, c->err); }
static mpflags_status on_item(const struct call *c)
{ return mpflags_client_on_item(c->client, c->callback, NULL, drop, c->err); }
static mpflags_status evaluate(const struct call *c)
{
    return mpflags_client_evaluate(c->client, c->text, c->text_len, c->context, c->type, c->options,
                                   0, (mpflags_evaluation **)c->out, c->err);
}
static mpflags_status evaluate_encoded(const struct call *c)
{
    return mpflags_client_evaluate_encoded(c->client, c->text, c->text_len, c->second, c->second_len, c->encoding,
                                           c->type, c->options, 0, (mpflags_evaluation **)c->out, c->err);
}
static mpflags_status evaluate_all(const struct call *c)
{
    return mpflags_client_evaluate_all(c->client, c->context, c->options, 0, (mpflags_evaluations **)c->out, c->err);
}
static mpflags_status track_exposure(const struct call *c)
{ return mpflags_client_track_exposure(c->client, c->evaluation, c->err); }
static mpflags_status track(const struct call *c)
{
    return mpflags_client_track(c->client, c->text, c->text_len, c->second, c->second_len, c->third, c->third_len, c->err);
}
static mpflags_status people_update(const struct call *c)
{
    return mpflags_client_people_update(c->client, c->text, c->text_len, c->second, c->second_len, c->third,
                                        c->third_len, c->err);
}
static mpflags_status group_update(const struct call *c)
{
    return mpflags_client_group_update(c->client, MPFLAGS_S("$set"), c->text, c->text_len, c->second, c->second_len, c->third,
                                       c->third_len, c->err);
}
static mpflags_status flush(const struct call *c) { return mpflags_client_flush(c->client, 0, NULL, c->err); }
static mpflags_status statistics(const struct call *c)
{ return mpflags_client_statistics(c->client, (mpflags_text **)c->out, c->err); }
static mpflags_status explain(const struct call *c)
{ return mpflags_client_explain(c->client, c->text, c->text_len, c->context, (mpflags_text **)c->out, c->err); }

static void free_client(void *p) { mpflags_client_free(p); }
static void free_context(void *p) { mpflags_context_free(p); }
static void free_evaluation(void *p) { mpflags_evaluation_free(p); }
static void free_item(void *p) { mpflags_item_free(p); }
static void free_evaluations(void *p) { mpflags_evaluations_free(p); }
static void free_text(void *p) { mpflags_text_free(p); }

/* The arguments of a function, with which it succeeds, and its status for the empty string. */
static const struct row {
    const char *name;
    mpflags_status (*call)(const struct call *);
    const char *text, *second;
    mpflags_status text_empty, second_empty;
    mpflags_status second_blank; /* for the empty string, if NULL of length 0 succeeds */
    bool client, type, encoding, callback;
    void (*free)(void *);
    mpflags_status not_started; /* the status of a good call before the start */
    mpflags_status shut_down; /* after shutdown */
    uint32_t known; /* the option bits that it knows */
    bool options, evaluation;
    const char *third;
    mpflags_status third_empty;
} rows[] = {
    {.name = "client_new", .call = client_new, .text = CONFIG, .text_empty = MPFLAGS_INVALID_CONFIG, .free = free_client},
    {.name = "context_new_json", .call = context_new, .text = "{\"id\": 1}", .text_empty = MPFLAGS_INVALID_CONTEXT,
     .free = free_context},
    {.name = "context_new_encoded", .call = context_new_encoded, .second = "{\"id\": 1}",
     .second_blank = MPFLAGS_INVALID_CONTEXT, .encoding = true, .free = free_context},
    {.name = "client_evaluate", .call = evaluate, .text = "boolean", .client = true, .type = true, .options = true,
     .known = MPFLAGS_OPTION_NO_EXPOSURE, .free = free_evaluation},
    {.name = "client_evaluate_encoded", .call = evaluate_encoded, .text = "boolean", .second = "{\"id\": 1}",
     .client = true, .type = true, .encoding = true, .options = true, .known = MPFLAGS_OPTION_NO_EXPOSURE,
     .free = free_evaluation},
    {.name = "client_evaluate_all", .call = evaluate_all, .client = true, .options = true, .free = free_evaluations},
    {.name = "client_set_override", .call = set_override, .text = "o", .second = "1", .client = true,
     .second_empty = MPFLAGS_INVALID_ARGUMENT},
    {.name = "client_clear_override", .call = clear_override, .text = "o", .client = true},
    {.name = "client_next_item", .call = next, .client = true, .free = free_item, .shut_down = MPFLAGS_CLOSED},
    {.name = "client_wait_ready", .call = wait_ready, .client = true, .shut_down = MPFLAGS_CLOSED},
    {.name = "client_refresh", .call = refresh, .client = true, .not_started = MPFLAGS_INVALID_ARGUMENT,
     .shut_down = MPFLAGS_CLOSED},
    {.name = "client_on_item", .call = on_item, .client = true, .callback = true},
    {.name = "client_start", .call = start, .client = true},
    {.name = "client_track_exposure", .call = track_exposure, .client = true, .evaluation = true,
     .shut_down = MPFLAGS_CLOSED},
    {.name = "client_track", .call = track, .text = "Event", .second = "u1", .third = "{\"a\": 1}", .client = true,
     .text_empty = MPFLAGS_INVALID_ARGUMENT, .second_empty = MPFLAGS_INVALID_ARGUMENT, .shut_down = MPFLAGS_CLOSED},
    {.name = "client_people_update", .call = people_update, .text = "$set", .second = "u1", .third = "{\"a\": 1}",
     .client = true, .text_empty = MPFLAGS_INVALID_ARGUMENT, .second_empty = MPFLAGS_INVALID_ARGUMENT,
     .third_empty = MPFLAGS_INVALID_ARGUMENT, .shut_down = MPFLAGS_CLOSED},
    {.name = "client_group_update", .call = group_update, .text = "company", .second = "acme", .third = "{\"a\": 1}",
     .client = true, .text_empty = MPFLAGS_INVALID_ARGUMENT, .second_empty = MPFLAGS_INVALID_ARGUMENT,
     .third_empty = MPFLAGS_INVALID_ARGUMENT, .shut_down = MPFLAGS_CLOSED},
    {.name = "client_flush", .call = flush, .client = true, .shut_down = MPFLAGS_CLOSED},
    {.name = "client_explain", .call = explain, .text = "boolean", .client = true, .free = free_text},
    {.name = "client_statistics", .call = statistics, .client = true, .free = free_text},
    {.name = "client_shutdown", .call = shut, .client = true},
};

static char sentinel;

/* Calls with and without `err`, and checks what the header says about failures and successes. */
static void expect(const struct row *row, struct call call, mpflags_status expected, const char *what)
{
    for (int with_err = 1; with_err >= 0; with_err--) {
        bool no_out = call.out == NULL;
        void *out = &sentinel;
        mpflags_error *err = (mpflags_error *)&sentinel;
        call.out = no_out ? NULL : &out;
        call.err = with_err ? &err : NULL;
        mpflags_status status = row->call(&call);
        if (status != expected) {
            failures++;
            fprintf(stderr, "%s, %s: status %d instead of %d\n", row->name, what, (int)status, (int)expected);
        }
        if (status == MPFLAGS_OK) {
            CHECK(err == (mpflags_error *)&sentinel);
            CHECK((row->free != NULL) == (out != &sentinel));
            if (out != &sentinel && row->free) row->free(out);
        } else {
            CHECK(out == &sentinel);
            if (with_err) {
                CHECK(err != (mpflags_error *)&sentinel && mpflags_error_status(err) == status);
                mpflags_str message = mpflags_error_message(err);
                CHECK(message.len > 0 && message.ptr[message.len] == '\0' && strlen(message.ptr) == message.len);
                mpflags_error_free(err);
            }
        }
        if (no_out) call.out = NULL;
    }
}

static mpflags_client *new_client(void)
{
    mpflags_client *client = NULL;
    CHECK(mpflags_client_new(MPFLAGS_S(CONFIG), &client, NULL) == MPFLAGS_OK);
    return client;
}

static mpflags_context *new_context(void)
{
    mpflags_context *context = NULL;
    CHECK(mpflags_context_new_json(MPFLAGS_S("{\"id\": \"u1\", \"distinct_id\": \"u1\"}"), &context, NULL) == MPFLAGS_OK);
    return context;
}

static mpflags_evaluation *evaluated(const mpflags_client *client, const char *key, uint32_t type)
{
    mpflags_evaluation *evaluation = NULL;
    mpflags_context *context = new_context();
    CHECK(mpflags_client_evaluate(client, key, strlen(key), context, type, MPFLAGS_OPTION_NO_EXPOSURE, 0, &evaluation, NULL) == MPFLAGS_OK);
    /* The evaluation outlives it. */
    mpflags_context_free(context);
    return evaluation;
}

static void arguments(const struct row *row)
{
    static const char bad[] = "ab\xff";
    /* A client for this row: some rows change it or shut it down. */
    mpflags_client *client = new_client();
    mpflags_evaluation *evaluation = evaluated(client, "experiment", MPFLAGS_TYPE_ANY);
    void *none;
    const struct call good = {
        .client = client, .text = row->text, .text_len = row->text ? strlen(row->text) : 0,
        .second = row->second, .second_len = row->second ? strlen(row->second) : 0,
        .third = row->third, .third_len = row->third ? strlen(row->third) : 0,
        .evaluation = evaluation, .encoding = MPFLAGS_ENCODING_JSON, .callback = callback, .out = &none,
    };
    struct call call;
    if (row->client) {
        call = good;
        call.client = NULL;
        expect(row, call, MPFLAGS_NULL_ARGUMENT, "NULL client");
    }
    if (row->free) {
        call = good;
        call.out = NULL;
        expect(row, call, MPFLAGS_NULL_ARGUMENT, "NULL out");
    }
    if (row->text) {
        call = good;
        call.text = NULL;
        expect(row, call, MPFLAGS_NULL_ARGUMENT, "NULL text");
        call.text_len = 0;
        expect(row, call, row->text_empty, "NULL text of length 0");
        call.text = "x";
        expect(row, call, row->text_empty, "text of length 0");
        call.text = bad;
        call.text_len = 3;
        expect(row, call, MPFLAGS_INVALID_UTF8, "text that is not UTF-8");
        call.text_len = SIZE_MAX;
        expect(row, call, MPFLAGS_INVALID_ARGUMENT, "text longer than memory");
    }
    if (row->second) {
        call = good;
        call.second = NULL;
        expect(row, call, MPFLAGS_NULL_ARGUMENT, "NULL second");
        call.second_len = 0;
        expect(row, call, row->second_empty, "NULL second of length 0");
        call.second = "x";
        expect(row, call, row->second_blank ? row->second_blank : row->second_empty, "second of length 0");
        call.second = bad;
        call.second_len = 3;
        expect(row, call, MPFLAGS_INVALID_UTF8, "second that is not UTF-8");
        call.second_len = SIZE_MAX;
        expect(row, call, MPFLAGS_INVALID_ARGUMENT, "second longer than memory");
    }
    if (row->type) {
        call = good;
        for (uint32_t type = MPFLAGS_TYPE_ANY; type <= MPFLAGS_TYPE_OBJECT_OR_ARRAY; type++) {
            call.type = type;
            expect(row, call, MPFLAGS_OK, "a type");
        }
        for (uint32_t type = MPFLAGS_TYPE_OBJECT_OR_ARRAY + 1; type != 0; type <<= 1) {
            call.type = type;
            expect(row, call, MPFLAGS_INVALID_ARGUMENT, "an unknown type");
        }
        call.type = UINT32_MAX;
        expect(row, call, MPFLAGS_INVALID_ARGUMENT, "an unknown type");
    }
    if (row->options) {
        call = good;
        for (uint32_t bit = 1; bit != 0; bit <<= 1) {
            call.options = bit;
            expect(row, call, row->known & bit ? MPFLAGS_OK : MPFLAGS_UNKNOWN_BIT, "an option");
        }
    }
    if (row->third) {
        call = good;
        call.third = NULL;
        expect(row, call, MPFLAGS_NULL_ARGUMENT, "NULL third");
        call.third_len = 0;
        expect(row, call, row->third_empty, "NULL third of length 0");
        call.third = bad;
        call.third_len = 3;
        expect(row, call, MPFLAGS_INVALID_UTF8, "third that is not UTF-8");
        call.third_len = SIZE_MAX;
        expect(row, call, MPFLAGS_INVALID_ARGUMENT, "third longer than memory");
    }
    if (row->evaluation) {
        call = good;
        call.evaluation = NULL;
        expect(row, call, MPFLAGS_NULL_ARGUMENT, "NULL evaluation");
        mpflags_evaluation *none_assigned = evaluated(client, "none", MPFLAGS_TYPE_ANY);
        call.evaluation = none_assigned;
        expect(row, call, MPFLAGS_INVALID_ARGUMENT, "an evaluation without a variant");
        mpflags_evaluation_free(none_assigned);
    }
    if (row->encoding) {
        static const int32_t unknown[] = {0, 3, -1, INT32_MIN, INT32_MAX};
        call = good;
        for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
            call.encoding = unknown[i];
            expect(row, call, MPFLAGS_INVALID_ARGUMENT, "an unknown encoding");
        }
    }
    if (row->callback) {
        call = good;
        call.callback = NULL;
        expect(row, call, MPFLAGS_NULL_ARGUMENT, "NULL callback");
        CHECK(dropped == 0);
        CHECK(on_item(&good) == MPFLAGS_OK);
        expect(row, good, MPFLAGS_INVALID_ARGUMENT, "a second callback");
        CHECK(dropped == 0);
        mpflags_item *item = NULL;
        CHECK(mpflags_client_next_item(client, 0, &item, NULL) == MPFLAGS_INVALID_ARGUMENT);
        mpflags_client_free(client);
        mpflags_evaluation_free(evaluation);
        CHECK(dropped == 1);
        return;
    }
    if (row->call == next) {
        /* One item is queued: the malformed flag. */
        mpflags_item *item = NULL;
        CHECK(mpflags_client_next_item(client, 0, &item, NULL) == MPFLAGS_OK);
        CHECK(mpflags_item_kind(item) == MPFLAGS_ITEM_LOG && mpflags_item_level(item) == MPFLAGS_LEVEL_WARNING);
        CHECK(mpflags_item_state(item) == MPFLAGS_STATE_NONE && mpflags_item_key_count(item) == 0);
        CHECK(IS_NONE(mpflags_item_key(item, 0)) && IS_NONE(mpflags_item_key(item, SIZE_MAX)));
        CHECK(strstr(mpflags_item_message(item).ptr, "bad") != NULL);
        mpflags_item_free(item);
        expect(row, good, MPFLAGS_TIMEOUT, "no item");
    } else {
        expect(row, good, row->not_started, "a good call");
        if (row->not_started != MPFLAGS_OK) {
            CHECK(mpflags_client_start(client, NULL) == MPFLAGS_OK);
        }
        expect(row, good, MPFLAGS_OK, "a second good call");
    }
    mpflags_evaluation_free(evaluation);
    mpflags_client_free(client);
}

static void after_shutdown(const struct row *row)
{
    mpflags_client *client = new_client();
    mpflags_evaluation *evaluation = evaluated(client, "experiment", MPFLAGS_TYPE_ANY);
    void *none;
    const struct call good = {
        .client = client, .text = row->text, .text_len = row->text ? strlen(row->text) : 0,
        .second = row->second, .second_len = row->second ? strlen(row->second) : 0,
        .third = row->third, .third_len = row->third ? strlen(row->third) : 0,
        .evaluation = evaluation, .encoding = MPFLAGS_ENCODING_JSON, .callback = callback, .out = &none,
    };
    uint64_t undelivered = 7;
    CHECK(mpflags_client_shutdown(client, 1000, &undelivered, NULL) == MPFLAGS_OK && undelivered == 0);
    CHECK(mpflags_client_shutdown(client, 0, NULL, NULL) == MPFLAGS_OK);
    if (row->callback) {
        CHECK(row->call(&good) == row->shut_down);
    } else {
        if (row->call == next) {
            /* Queued items come first: the malformed flag. */
            mpflags_item *item = NULL;
            CHECK(mpflags_client_next_item(client, 0, &item, NULL) == MPFLAGS_OK && mpflags_item_kind(item) == MPFLAGS_ITEM_LOG);
            mpflags_item_free(item);
        }
        expect(row, good, row->shut_down, "after shutdown");
    }
    CHECK(mpflags_client_get_boolean(client, MPFLAGS_S("experiment"), NULL, 0) == false);
    CHECK(mpflags_client_state(client) == MPFLAGS_STATE_READY);
    mpflags_evaluation_free(evaluation);
    mpflags_client_free(client);
}

/* Functions that return a value. */
static void values(void)
{
    static const char bad[] = "bool\xff";
    mpflags_client *client = new_client();
    mpflags_context *context = new_context();
    CHECK(mpflags_client_get_boolean(client, MPFLAGS_S("boolean"), context, 0) == true);
    CHECK(mpflags_client_get_int64(client, MPFLAGS_S("int"), context, 0) == -42);
    CHECK(mpflags_client_get_int64(client, MPFLAGS_S(""), context, 0) == 7);
    CHECK(mpflags_client_get_int64(client, NULL, 0, context, 0) == 7);
    CHECK(mpflags_client_get_double(client, MPFLAGS_S("double"), context, 0) == 1.5);
    CHECK(mpflags_client_get_double(client, MPFLAGS_S("int"), context, 0) == -42.0);
    for (int32_t fallback = -1; fallback <= 2; fallback++) {
        bool as_bool = fallback != 0;
        CHECK(mpflags_client_get_boolean(NULL, MPFLAGS_S("boolean"), context, fallback) == as_bool);
        CHECK(mpflags_client_get_boolean(client, NULL, 3, context, fallback) == as_bool);
        CHECK(mpflags_client_get_boolean(client, bad, sizeof bad - 1, context, fallback) == as_bool);
        CHECK(mpflags_client_get_boolean(client, MPFLAGS_S("boolean"), NULL, fallback) == as_bool);
        CHECK(mpflags_client_get_boolean(client, MPFLAGS_S("int"), context, fallback) == as_bool);
        CHECK(mpflags_client_get_int64(NULL, MPFLAGS_S("int"), context, fallback) == fallback);
        CHECK(mpflags_client_get_int64(client, NULL, 3, context, fallback) == fallback);
        CHECK(mpflags_client_get_int64(client, bad, sizeof bad - 1, context, fallback) == fallback);
        CHECK(mpflags_client_get_int64(client, MPFLAGS_S("int"), NULL, fallback) == fallback);
        CHECK(mpflags_client_get_int64(client, MPFLAGS_S("double"), context, fallback) == fallback);
        CHECK(mpflags_client_get_double(NULL, MPFLAGS_S("double"), context, fallback) == fallback);
        CHECK(mpflags_client_get_double(client, NULL, 3, context, fallback) == fallback);
        CHECK(mpflags_client_get_double(client, bad, sizeof bad - 1, context, fallback) == fallback);
        CHECK(mpflags_client_get_double(client, MPFLAGS_S("double"), NULL, fallback) == fallback);
        CHECK(mpflags_client_get_double(client, MPFLAGS_S("none"), context, fallback) == fallback);
    }
    CHECK(mpflags_client_state(NULL) == MPFLAGS_STATE_NONE);
    CHECK(mpflags_client_state(client) == MPFLAGS_STATE_READY);
    CHECK(mpflags_abi_version() == MPFLAGS_ABI_VERSION && mpflags_abi_revision() == MPFLAGS_ABI_REVISION);
    CHECK(mpflags_version().len >= 5 && mpflags_version().ptr[mpflags_version().len] == '\0');
    mpflags_context_free(context);
    mpflags_client_free(client);
}

/* Accessors, of evaluations that outlive their client. */
static void evaluations(void)
{
    static const struct {
        const char *key;
        int32_t kind;
        bool boolean;
        int64_t integer;
        double number;
        const char *json;
    } kinds[] = {
        {"boolean", MPFLAGS_KIND_BOOLEAN, true, 0, 0, "true"},
        {"string", MPFLAGS_KIND_STRING, false, 0, 0, "\"a\\u0000b\""},
        {"int", MPFLAGS_KIND_INT64, false, -42, -42, "-42"},
        {"double", MPFLAGS_KIND_DOUBLE, false, 0, 1.5, "1.5"},
        {"object", MPFLAGS_KIND_OBJECT, false, 0, 0, "{\"a\":[1,2]}"},
        {"array", MPFLAGS_KIND_ARRAY, false, 0, 0, "[]"},
        {"null", MPFLAGS_KIND_NULL, false, 0, 0, "null"},
    };
    enum { KINDS = sizeof kinds / sizeof *kinds };
    mpflags_evaluation *of[KINDS];
    mpflags_client *client = new_client();
    for (int i = 0; i < KINDS; i++) of[i] = evaluated(client, kinds[i].key, MPFLAGS_TYPE_ANY);
    mpflags_evaluation *experiment = evaluated(client, "experiment", MPFLAGS_TYPE_BOOLEAN);
    mpflags_evaluation *mismatch = evaluated(client, "string", MPFLAGS_TYPE_BOOLEAN);
    mpflags_evaluation *missing = evaluated(client, "none", MPFLAGS_TYPE_ANY);
    mpflags_client_free(client);
    for (int i = 0; i < KINDS; i++) {
        CHECK(mpflags_evaluation_has_value(of[i]) && mpflags_evaluation_kind(of[i]) == kinds[i].kind);
        CHECK(mpflags_evaluation_boolean(of[i]) == kinds[i].boolean);
        CHECK(mpflags_evaluation_int64(of[i]) == kinds[i].integer);
        CHECK(mpflags_evaluation_double(of[i]) == kinds[i].number);
        CHECK(is(mpflags_evaluation_json(of[i]), kinds[i].json, strlen(kinds[i].json)));
        if (kinds[i].kind == MPFLAGS_KIND_STRING) {
            /* A value may contain U+0000: the length counts. */
            CHECK(is(mpflags_evaluation_string(of[i]), "a\0b", 3));
        } else {
            CHECK(IS_NONE(mpflags_evaluation_string(of[i])));
        }
        CHECK(IS(mpflags_evaluation_variant(of[i]), "v"));
        CHECK(is(mpflags_evaluation_key(of[i]), kinds[i].key, strlen(kinds[i].key)));
        CHECK(mpflags_evaluation_reason(of[i]) == MPFLAGS_REASON_STATIC);
        CHECK(mpflags_evaluation_error_code(of[i]) == MPFLAGS_ERROR_NONE);
        CHECK(IS_NONE(mpflags_evaluation_message(of[i])) && IS_NONE(mpflags_evaluation_experiment_id(of[i])));
        CHECK(mpflags_evaluation_is_experiment_active(of[i]) == MPFLAGS_EXPERIMENT_UNKNOWN);
        CHECK(!mpflags_evaluation_is_qa_tester(of[i]) && IS(mpflags_evaluation_context_key(of[i]), "id"));
        CHECK(IS(mpflags_evaluation_metadata_json(of[i]), "{\"contextId\":\"u1\"}"));
        mpflags_evaluation_free(of[i]);
    }
    CHECK(IS(mpflags_evaluation_experiment_id(experiment), "e-1"));
    CHECK(mpflags_evaluation_is_experiment_active(experiment) == MPFLAGS_EXPERIMENT_ACTIVE);
    CHECK(IS(mpflags_evaluation_metadata_json(experiment),
             "{\"experiment_id\":\"e-1\",\"is_experiment_active\":true,\"contextId\":\"u1\"}"));
    CHECK(!mpflags_evaluation_has_value(mismatch) && mpflags_evaluation_kind(mismatch) == MPFLAGS_KIND_NONE);
    CHECK(mpflags_evaluation_error_code(mismatch) == MPFLAGS_ERROR_TYPE_MISMATCH);
    CHECK(IS(mpflags_evaluation_message(mismatch), "expected boolean, the variant holds a string"));
    CHECK(IS_NONE(mpflags_evaluation_variant(mismatch)) && IS_NONE(mpflags_evaluation_json(mismatch)));
    CHECK(mpflags_evaluation_reason(missing) == MPFLAGS_REASON_ERROR);
    CHECK(mpflags_evaluation_error_code(missing) == MPFLAGS_ERROR_FLAG_NOT_FOUND);
    CHECK(strstr(mpflags_evaluation_message(missing).ptr, "`none`") != NULL);
    mpflags_evaluation_free(experiment);
    mpflags_evaluation_free(mismatch);
    mpflags_evaluation_free(missing);
}

/* Packed answers. Misuse is 0, and the caller frees the evaluation that an even number points to. */
static void packed(void)
{
    static const char bad[] = "a\xff";
    mpflags_client *client = new_client();
    static const char user[] = "{\"id\": \"u1\"}";
    uint64_t answer = mpflags_client_evaluate_packed(client, MPFLAGS_S("boolean"), user, sizeof user - 1, MPFLAGS_TYPE_BOOLEAN);
    CHECK(answer % 2 == 1 && answer > MPFLAGS_ANSWER_DISABLED);
    CHECK(mpflags_client_evaluate_packed_z(client, "boolean", user, MPFLAGS_TYPE_BOOLEAN) == answer);
    CHECK(mpflags_client_evaluate_packed(NULL, MPFLAGS_S("boolean"), user, sizeof user - 1, 0) == 0);
    CHECK(mpflags_client_evaluate_packed(client, NULL, 3, user, sizeof user - 1, 0) == 0);
    CHECK(mpflags_client_evaluate_packed(client, bad, sizeof bad - 1, user, sizeof user - 1, 0) == 0);
    CHECK(mpflags_client_evaluate_packed(client, MPFLAGS_S("boolean"), NULL, 3, 0) == 0);
    CHECK(mpflags_client_evaluate_packed(client, MPFLAGS_S("boolean"), bad, sizeof bad - 1, 0) == 0);
    CHECK(mpflags_client_evaluate_packed(client, MPFLAGS_S("boolean"), user, sizeof user - 1, 7) == 0);
    CHECK(mpflags_client_evaluate_packed(client, MPFLAGS_S("boolean"), user, sizeof user - 1, 2 << 8) == 0);
    CHECK(mpflags_client_evaluate_packed_z(NULL, "boolean", user, 0) == 0);
    CHECK(mpflags_client_evaluate_packed_z(client, NULL, user, 0) == 0);
    CHECK(mpflags_client_evaluate_packed_z(client, bad, user, 0) == 0);
    CHECK(mpflags_client_evaluate_packed_z(client, "boolean", bad, 0) == 0);
    /* A NULL context is empty, so the key is missing: an error, and a pointer to an evaluation. */
    uint64_t pointer = mpflags_client_evaluate_packed_z(client, "boolean", NULL, 0);
    mpflags_evaluation *missing = (mpflags_evaluation *)(uintptr_t)pointer;
    CHECK(pointer % 2 == 0 && mpflags_evaluation_error_code(missing) == MPFLAGS_ERROR_TARGETING_KEY_MISSING);
    CHECK(mpflags_evaluation_answer(missing) == 0 && mpflags_evaluation_answer(NULL) == 0);
    CHECK(IS(mpflags_evaluation_context_key(missing), "id"));
    mpflags_evaluation_free(missing);

    mpflags_evaluation *recalled = mpflags_client_answer(client, MPFLAGS_S("boolean"), answer);
    CHECK(mpflags_evaluation_boolean(recalled) && mpflags_evaluation_answer(recalled) == answer);
    /* It names the key that a binding finds the context id under. */
    CHECK(IS(mpflags_evaluation_metadata_json(recalled), "{}"));
    CHECK(IS(mpflags_evaluation_context_key(recalled), "id") && IS_NONE(mpflags_evaluation_context_key(NULL)));
    /* It has no user. */
    CHECK(mpflags_client_track_exposure(client, recalled, NULL) == MPFLAGS_INVALID_ARGUMENT);
    mpflags_evaluation_free(recalled);
    recalled = mpflags_client_answer(client, MPFLAGS_S("nowhere"), MPFLAGS_ANSWER_NO_MATCH);
    CHECK(mpflags_evaluation_reason(recalled) == MPFLAGS_REASON_DEFAULT && !mpflags_evaluation_has_value(recalled));
    CHECK(IS_NONE(mpflags_evaluation_context_key(recalled)));
    mpflags_evaluation_free(recalled);
    recalled = mpflags_client_answer(client, MPFLAGS_S("nowhere"), MPFLAGS_ANSWER_DISABLED);
    CHECK(mpflags_evaluation_reason(recalled) == MPFLAGS_REASON_DISABLED && !mpflags_evaluation_has_value(recalled));
    mpflags_evaluation_free(recalled);
    CHECK(mpflags_client_answer(NULL, MPFLAGS_S("boolean"), answer) == NULL);
    CHECK(mpflags_client_answer(client, NULL, 3, answer) == NULL);
    CHECK(mpflags_client_answer(client, bad, sizeof bad - 1, answer) == NULL);
    CHECK(mpflags_client_answer(client, MPFLAGS_S("int"), answer) == NULL);
    CHECK(mpflags_client_answer(client, MPFLAGS_S("none"), answer) == NULL);
    /* Numbers that were never returned: even, a variant beyond the last, no reason, beyond every definition. */
    CHECK(mpflags_client_answer(client, MPFLAGS_S("boolean"), answer - 1) == NULL);
    CHECK(mpflags_client_answer(client, MPFLAGS_S("boolean"), answer | 0xffffu << 5) == NULL);
    CHECK(mpflags_client_answer(client, MPFLAGS_S("boolean"), answer | 7 << 2) == NULL);
    CHECK(mpflags_client_answer(client, MPFLAGS_S("boolean"), UINT64_MAX) == NULL);
    CHECK(mpflags_client_answer(client, MPFLAGS_S("boolean"), 0) == NULL);

    /* With all flags: the same number, and 0 where there is none. */
    mpflags_context *context = new_context();
    mpflags_evaluations *every = NULL;
    CHECK(mpflags_client_set_override(client, MPFLAGS_S("int"), MPFLAGS_S("7"), NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_evaluate_all(client, context, 0, 0, &every, NULL) == MPFLAGS_OK);
    const uint64_t *answers = mpflags_evaluations_answers(every);
    for (size_t i = 0; i < mpflags_evaluations_count(every); i++) {
        const mpflags_evaluation *evaluation = mpflags_evaluations_at(every, i);
        CHECK(answers[i] == mpflags_evaluation_answer(evaluation));
        if (evaluation == mpflags_evaluations_find(every, MPFLAGS_S("boolean"))) CHECK(answers[i] == answer);
        if (evaluation == mpflags_evaluations_find(every, MPFLAGS_S("int"))) CHECK(answers[i] == 0);
        if (evaluation == mpflags_evaluations_find(every, MPFLAGS_S("bad"))) CHECK(answers[i] == 0);
    }
    CHECK(mpflags_evaluations_answers(NULL) == NULL);
    mpflags_evaluations_free(every);
    mpflags_context_free(context);
    mpflags_client_free(client);
}

static void nulls(void)
{
    CHECK(!mpflags_evaluation_has_value(NULL) && mpflags_evaluation_kind(NULL) == MPFLAGS_KIND_NONE);
    CHECK(!mpflags_evaluation_boolean(NULL) && mpflags_evaluation_int64(NULL) == 0);
    CHECK(mpflags_evaluation_double(NULL) == 0 && IS_NONE(mpflags_evaluation_string(NULL)));
    CHECK(IS_NONE(mpflags_evaluation_json(NULL)) && IS_NONE(mpflags_evaluation_variant(NULL)));
    CHECK(mpflags_evaluation_reason(NULL) == MPFLAGS_REASON_UNKNOWN);
    CHECK(mpflags_evaluation_error_code(NULL) == MPFLAGS_ERROR_NONE);
    CHECK(IS_NONE(mpflags_evaluation_message(NULL)) && IS_NONE(mpflags_evaluation_key(NULL)));
    CHECK(IS_NONE(mpflags_evaluation_experiment_id(NULL)) && !mpflags_evaluation_is_qa_tester(NULL));
    CHECK(mpflags_evaluation_is_experiment_active(NULL) == MPFLAGS_EXPERIMENT_UNKNOWN);
    CHECK(IS_NONE(mpflags_evaluation_metadata_json(NULL)));
    CHECK(mpflags_item_kind(NULL) == MPFLAGS_ITEM_NONE && mpflags_item_level(NULL) == MPFLAGS_LEVEL_NONE);
    CHECK(mpflags_item_state(NULL) == MPFLAGS_STATE_NONE && IS_NONE(mpflags_item_message(NULL)));
    CHECK(mpflags_item_key_count(NULL) == 0 && IS_NONE(mpflags_item_key(NULL, 0)));
    CHECK(IS_NONE(mpflags_item_event(NULL)) && IS_NONE(mpflags_text_view(NULL)));
    CHECK(mpflags_evaluations_count(NULL) == 0 && mpflags_evaluations_at(NULL, 0) == NULL);
    CHECK(mpflags_evaluations_find(NULL, MPFLAGS_S("x")) == NULL);
    CHECK(mpflags_evaluations_failure(NULL) == MPFLAGS_ERROR_NONE && IS_NONE(mpflags_evaluations_message(NULL)));
    CHECK(mpflags_error_status(NULL) == MPFLAGS_OK && IS_NONE(mpflags_error_message(NULL)));
    mpflags_client_free(NULL);
    mpflags_context_free(NULL);
    mpflags_context_builder_free(NULL);
    mpflags_evaluation_free(NULL);
    mpflags_item_free(NULL);
    mpflags_error_free(NULL);
    mpflags_evaluations_free(NULL);
    mpflags_text_free(NULL);
}

static bool counts(const mpflags_client *client, const char *part)
{
    mpflags_text *text = NULL;
    CHECK(mpflags_client_statistics(client, &text, NULL) == MPFLAGS_OK);
    bool found = strstr(mpflags_text_view(text).ptr, part) != NULL;
    mpflags_text_free(text);
    return found;
}

/* A read of the wrong type returns the default, and there is no exposure, not even with track_exposure. */
static void wrong_types(void)
{
    mpflags_client *client = new_client();
    mpflags_context *context = new_context();
    static const char user[] = "{\"id\": \"u1\", \"distinct_id\": \"u1\"}";
    CHECK(mpflags_client_get_boolean(client, MPFLAGS_S("string"), context, 1));
    CHECK(mpflags_client_get_int64(client, MPFLAGS_S("double"), context, 5) == 5);
    CHECK(mpflags_client_get_double(client, MPFLAGS_S("boolean"), context, 2.5) == 2.5);
    static const struct {
        const char *key;
        uint32_t type;
    } wrong[] = {{"string", MPFLAGS_TYPE_BOOLEAN}, {"boolean", MPFLAGS_TYPE_STRING}, {"double", MPFLAGS_TYPE_INT64},
                 {"string", MPFLAGS_TYPE_DOUBLE}, {"int", MPFLAGS_TYPE_OBJECT}, {"null", MPFLAGS_TYPE_OBJECT_OR_ARRAY}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mpflags_evaluation *evaluation = NULL;
        size_t key_len = strlen(wrong[i].key);
        CHECK(mpflags_client_evaluate(client, wrong[i].key, key_len, context, wrong[i].type, 0, 0, &evaluation, NULL) == MPFLAGS_OK);
        CHECK(mpflags_evaluation_error_code(evaluation) == MPFLAGS_ERROR_TYPE_MISMATCH);
        mpflags_error *error = NULL;
        CHECK(mpflags_client_track_exposure(client, evaluation, &error) == MPFLAGS_INVALID_ARGUMENT);
        CHECK(strstr(mpflags_error_message(error).ptr, "has another type than the one asked for") != NULL);
        mpflags_error_free(error);
        mpflags_evaluation_free(evaluation);
        uint64_t packed = mpflags_client_evaluate_packed(client, wrong[i].key, key_len, user, sizeof user - 1, wrong[i].type);
        CHECK(packed != 0 && packed % 2 == 0);
        mpflags_evaluation_free((mpflags_evaluation *)(uintptr_t)packed);
    }
    CHECK(counts(client, "\"enqueued\":0") && counts(client, "\"queue_length\":0"));
    /* The right type is one exposure, whatever the function. */
    CHECK(mpflags_client_get_boolean(client, MPFLAGS_S("boolean"), context, 0));
    CHECK(mpflags_client_evaluate_packed(client, MPFLAGS_S("boolean"), user, sizeof user - 1, MPFLAGS_TYPE_BOOLEAN) % 2 == 1);
    CHECK(counts(client, "\"enqueued\":1") && counts(client, "\"deduplicated\":1"));

    /* NULL with length 0 is the empty string: an unknown user, which needs a device. */
    static const char device[] = "{\"$device_id\": \"d-1\"}";
    CHECK(mpflags_client_track(client, MPFLAGS_S("e"), NULL, 0, device, sizeof device - 1, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_track(client, MPFLAGS_S("e"), NULL, 0, NULL, 0, NULL) == MPFLAGS_INVALID_ARGUMENT);
    CHECK(mpflags_client_people_update(client, MPFLAGS_S("$set"), NULL, 0, MPFLAGS_S("{}"), NULL) == MPFLAGS_INVALID_ARGUMENT);
    CHECK(counts(client, "\"enqueued\":2"));
    mpflags_client_shutdown(client, 0, NULL, NULL);
    mpflags_client_free(client);
    mpflags_context_free(context);
}

/* All flags at once, read after the client is freed; and the statistics. */
static void all(void)
{
    static const char bad[] = "bool\xff";
    mpflags_client *client = new_client();
    mpflags_context *context = new_context();
    mpflags_evaluations *every = NULL;
    CHECK(mpflags_client_evaluate_all(client, context, 0, 0, &every, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_track_exposure(client, mpflags_evaluations_find(every, MPFLAGS_S("experiment")), NULL) == MPFLAGS_OK);
    uint64_t left = 0;
    CHECK(mpflags_client_flush(client, 0, &left, NULL) == MPFLAGS_OK && left == 1);
    mpflags_text *text = NULL;
    CHECK(mpflags_client_statistics(client, &text, NULL) == MPFLAGS_OK);
    CHECK(strstr(mpflags_text_view(text).ptr, "\"queue_length\":1") != NULL);
    CHECK(mpflags_client_shutdown(client, 100, &left, NULL) == MPFLAGS_OK && left == 1);
    mpflags_client_free(client);
    mpflags_context_free(context);
    CHECK(mpflags_evaluations_count(every) == 10 && mpflags_evaluations_failure(every) == MPFLAGS_ERROR_NONE);
    CHECK(IS_NONE(mpflags_evaluations_message(every)));
    for (size_t i = 0; i < mpflags_evaluations_count(every); i++) {
        mpflags_str key = mpflags_evaluation_key(mpflags_evaluations_at(every, i));
        CHECK(mpflags_evaluations_find(every, key.ptr, key.len) == mpflags_evaluations_at(every, i));
    }
    CHECK(mpflags_evaluation_int64(mpflags_evaluations_find(every, MPFLAGS_S("int"))) == -42);
    CHECK(mpflags_evaluation_error_code(mpflags_evaluations_find(every, MPFLAGS_S("bad"))) == MPFLAGS_ERROR_PARSE_ERROR);
    CHECK(mpflags_evaluations_find(every, MPFLAGS_S("none")) == NULL && mpflags_evaluations_at(every, 10) == NULL);
    CHECK(mpflags_evaluations_find(every, bad, sizeof bad - 1) == NULL && mpflags_evaluations_find(every, NULL, 3) == NULL);
    mpflags_evaluations_free(every);
    mpflags_text_free(text);

    /* Without definitions there is only the failure. */
    CHECK(mpflags_client_new(MPFLAGS_S("{\"token\": \"t\"}"), &client, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_evaluate_all(client, NULL, 0, 0, &every, NULL) == MPFLAGS_OK);
    CHECK(mpflags_evaluations_count(every) == 0 && mpflags_evaluations_message(every).len > 0);
    CHECK(mpflags_evaluations_failure(every) == MPFLAGS_ERROR_PROVIDER_NOT_READY);
    mpflags_evaluations_free(every);
    mpflags_client_free(client);
}

/* The message of a mistake, up to its first colon after "context: ", and its status. */
static void mistaken(mpflags_context_builder *builder, mpflags_status expected, const char *message)
{
    mpflags_context *context = (mpflags_context *)&sentinel;
    mpflags_error *error = NULL;
    /* What follows a mistake does not replace it. */
    mpflags_context_builder_set_double(builder, MPFLAGS_S("later"), NAN);
    mpflags_status status = mpflags_context_builder_build(builder, &context, &error);
    mpflags_str said = mpflags_error_message(error);
    if (status != expected || context != (mpflags_context *)&sentinel || said.ptr == NULL || strcmp(said.ptr, message) != 0) {
        failures++;
        fprintf(stderr, "builder: status %d instead of %d, %s instead of %s\n", (int)status, (int)expected, said.ptr, message);
    }
    mpflags_error_free(error);
}

static void building(void)
{
    mpflags_client *client = new_client();
    mpflags_context *context = NULL;
    mpflags_context_builder *user = mpflags_context_builder_new();
    /* A text that would break JSON. */
    mpflags_context_builder_set_string(user, MPFLAGS_S("id"), MPFLAGS_S("a\"b"));
    mpflags_context_builder_set_property_string(user, MPFLAGS_S("plan"), MPFLAGS_S("pro"));
    CHECK(mpflags_context_builder_build(user, &context, NULL) == MPFLAGS_OK);
    for (int i = 0; i < 3; i++) {
        CHECK(mpflags_client_get_boolean(client, MPFLAGS_S("boolean"), context, 0));
    }
    mpflags_text *text = NULL;
    CHECK(mpflags_client_explain(client, MPFLAGS_S("boolean"), context, &text, NULL) == MPFLAGS_OK);
    CHECK(strstr(mpflags_text_view(text).ptr, "\"text\":\"a\\\"b\"") != NULL);
    mpflags_text_free(text);
    mpflags_context_free(context);

    mpflags_context_builder_set_unusable(user, MPFLAGS_S("id"), MPFLAGS_S("a row that is locked"));
    CHECK(mpflags_context_builder_build(user, &context, NULL) == MPFLAGS_OK);
    mpflags_evaluation *evaluation = NULL;
    for (int i = 0; i < 3; i++) {
        CHECK(mpflags_client_evaluate(client, MPFLAGS_S("boolean"), context, MPFLAGS_TYPE_ANY, 0, 0, &evaluation, NULL) == MPFLAGS_OK);
        CHECK(mpflags_evaluation_error_code(evaluation) == MPFLAGS_ERROR_INVALID_CONTEXT);
        CHECK(strcmp(mpflags_evaluation_message(evaluation).ptr, "context: id: a row that is locked") == 0);
        mpflags_evaluation_free(evaluation);
    }
    mpflags_context_free(context);

    static const char bad[] = "x\xff";
    mpflags_context_builder_set_string(user, MPFLAGS_S("id"), bad, 2);
    mistaken(user, MPFLAGS_INVALID_UTF8, "context: id: value is not UTF-8 at byte 1");
    mpflags_context_builder_set_property_string(user, MPFLAGS_S("plan"), NULL, 3);
    mistaken(user, MPFLAGS_NULL_ARGUMENT, "context: plan: value is NULL but its length is 3");
    mpflags_context_builder_set_int64(user, bad, 2, 1);
    mistaken(user, MPFLAGS_INVALID_UTF8, "context: an attribute: name is not UTF-8 at byte 1");
    mpflags_context_builder_set_boolean(user, NULL, 1, 1);
    mistaken(user, MPFLAGS_NULL_ARGUMENT, "context: an attribute: name is NULL but its length is 1");
    mpflags_context_builder_set_property_double(user, MPFLAGS_S("age"), INFINITY);
    mistaken(user, MPFLAGS_INVALID_CONTEXT, "context: custom_properties.age: a number that is not finite");
    mpflags_context_builder_set_json(user, MPFLAGS_S("address"), MPFLAGS_S("{"));
    mistaken(user, MPFLAGS_INVALID_CONTEXT, "context: address: EOF while parsing an object at line 1 column 1");
    mpflags_context_builder_set_unusable(user, MPFLAGS_S("id"), NULL, 3);
    mistaken(user, MPFLAGS_NULL_ARGUMENT, "context: id: why is NULL but its length is 3");
    mpflags_context_builder_end(user);
    mistaken(user, MPFLAGS_INVALID_CONTEXT, "context: end: no object or array was begun");
    mpflags_context_builder_begin_array(user, MPFLAGS_S("tags"));
    mpflags_context_builder_set_null(user, NULL, 0);
    mpflags_context_builder_begin_object(user, NULL, 0);
    mpflags_context_builder_set_double(user, MPFLAGS_S("a"), 1);
    mpflags_context_builder_end(user);
    mpflags_context_builder_end(user);
    mpflags_context_builder_set_property_boolean(user, MPFLAGS_S("beta"), 1);
    mpflags_context_builder_set_property_null(user, MPFLAGS_S("none"));
    mpflags_context_builder_set_property_json(user, MPFLAGS_S("list"), MPFLAGS_S("[1]"));
    mpflags_context_builder_set_property_int64(user, MPFLAGS_S("seats"), 12);
    CHECK(mpflags_context_builder_build(user, &context, NULL) == MPFLAGS_OK);
    mpflags_context_free(context);
    mpflags_context_builder_set_double(user, MPFLAGS_S("a"), NAN);
    mpflags_context_builder_reset(user);
    CHECK(mpflags_context_builder_build(user, &context, NULL) == MPFLAGS_OK);
    mpflags_context_free(context);
    CHECK(mpflags_context_builder_build(NULL, &context, NULL) == MPFLAGS_NULL_ARGUMENT);
    CHECK(mpflags_context_builder_build(user, NULL, NULL) == MPFLAGS_NULL_ARGUMENT);
    mpflags_context_builder_set_string(NULL, MPFLAGS_S("a"), MPFLAGS_S("b"));
    mpflags_context_builder_end(NULL);
    mpflags_context_builder_reset(NULL);
    mpflags_context_builder_free(user);

    /* The binary form, in one call. */
    static const char form[] = "\x01\x06\x02" "id\x02" "u1";
    uint32_t binary = (uint32_t)MPFLAGS_ENCODING_BINARY << 24;
    CHECK(mpflags_client_evaluate_packed(client, MPFLAGS_S("boolean"), form, sizeof form - 1, MPFLAGS_TYPE_BOOLEAN | binary) % 2 == 1);
    CHECK(mpflags_client_evaluate_packed(client, MPFLAGS_S("boolean"), form, sizeof form - 1, 3u << 24) == 0);
    uint64_t invalid = mpflags_client_evaluate_packed(client, MPFLAGS_S("boolean"), form, sizeof form - 2, binary);
    evaluation = (mpflags_evaluation *)(uintptr_t)invalid;
    CHECK(strcmp(mpflags_evaluation_message(evaluation).ptr,
                 "context: malformed binary form at byte 5: a length beyond the end") == 0);
    mpflags_evaluation_free(evaluation);
    CHECK(mpflags_context_new_encoded(form, sizeof form - 1, MPFLAGS_ENCODING_BINARY, &context, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_get_boolean(client, MPFLAGS_S("boolean"), context, 0));
    mpflags_context_free(context);
    mpflags_client_free(client);
}

/* A context works with every client and outlives them. */
static void outliving(void)
{
    mpflags_context *context = new_context();
    for (int i = 0; i < 2; i++) {
        mpflags_client *client = new_client();
        CHECK(mpflags_client_get_boolean(client, MPFLAGS_S("boolean"), context, 0));
        mpflags_client_free(client);
    }
    mpflags_context_free(context);
}

/* MPFLAGS_TIMEOUT_CONFIGURED uses the option: the server does not respond, and the wait ends. */
static void configured(void)
{
    mpflags_client *client = NULL;
    CHECK(mpflags_client_new(MPFLAGS_S("{\"token\": \"t\", \"api_host\": \"http://127.0.0.1:1\", \"init_timeout_ms\": 60,"
                                       " \"shutdown_timeout_ms\": 1000}"), &client, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_start(client, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_wait_ready(client, MPFLAGS_TIMEOUT_CONFIGURED, NULL) == MPFLAGS_TIMEOUT);
    CHECK(mpflags_client_track(client, MPFLAGS_S("e"), MPFLAGS_S("u"), NULL, 0, NULL) == MPFLAGS_OK);
    uint64_t undelivered = 0;
    CHECK(mpflags_client_shutdown(client, MPFLAGS_TIMEOUT_CONFIGURED, &undelivered, NULL) == MPFLAGS_OK && undelivered == 1);
    CHECK(mpflags_client_timeout(client, MPFLAGS_TIMEOUT_INIT) == 60);
    CHECK(mpflags_client_timeout(client, MPFLAGS_TIMEOUT_REQUEST) == 10000);
    CHECK(mpflags_client_timeout(client, MPFLAGS_TIMEOUT_SHUTDOWN) == 1000);
    CHECK(mpflags_client_timeout(NULL, MPFLAGS_TIMEOUT_INIT) == 0);
    CHECK(mpflags_client_timeout(client, 0) == 0 && mpflags_client_timeout(client, UINT32_MAX) == 0);
    mpflags_client_free(client);
}

/* refresh of a client that does not poll: there is no server, and the definitions stay in use. A remote client has nothing
 * to fetch. */
static void refreshed(void)
{
    mpflags_client *client = NULL;
    mpflags_error *err = NULL;
    CHECK(mpflags_client_new(MPFLAGS_S("{\"token\": \"t\", \"api_host\": \"http://127.0.0.1:1\", \"enable_polling\": false,"
                                       " \"definitions\": {\"flags\": [" FLAG("boolean", "id", ONE("true")) "]}}"),
                             &client, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_start(client, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_refresh(client, 10000, &err) == MPFLAGS_BACKEND);
    CHECK(IS(mpflags_error_message(err), "127.0.0.1:1: connection refused; check api_host"));
    mpflags_error_free(err);
    CHECK(mpflags_client_refresh(client, MPFLAGS_TIMEOUT_CONFIGURED, NULL) == MPFLAGS_BACKEND);
    CHECK(mpflags_client_state(client) == MPFLAGS_STATE_READY);
    mpflags_client_free(client);
    CHECK(mpflags_client_new(MPFLAGS_S("{\"token\": \"t\", \"mode\": \"remote\", \"api_host\": \"http://127.0.0.1:1\"}"),
                             &client, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_refresh(client, 10000, NULL) == MPFLAGS_INVALID_ARGUMENT);
    CHECK(mpflags_client_start(client, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_refresh(client, 10000, NULL) == MPFLAGS_OK);
    mpflags_client_free(client);
}

/* A message names what is wrong, but no secret. */
static void messages(void)
{
    mpflags_client *client = NULL;
    mpflags_error *err = NULL;
    CHECK(mpflags_client_new(MPFLAGS_S("{\"token\": \"s3cret\", \"pol\": 1}"), &client, &err)
          == MPFLAGS_INVALID_CONFIG);
    CHECK(client == NULL && strstr(mpflags_error_message(err).ptr, "pol") != NULL);
    CHECK(strstr(mpflags_error_message(err).ptr, "s3cret") == NULL);
    mpflags_error_free(err);
}

int main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        arguments(&rows[i]);
        after_shutdown(&rows[i]);
    }
    values();
    evaluations();
    wrong_types();
    all();
    packed();
    nulls();
    building();
    outliving();
    configured();
    refreshed();
    messages();
    printf("%zu functions with every argument, %d failures\n", sizeof rows / sizeof *rows, failures);
    return failures != 0;
}
