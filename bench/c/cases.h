/* The evaluations that are timed (worker.c) and counted (instructions.c). */

#ifndef CASES_H
#define CASES_H

#include "bench.h"

typedef struct {
    mpflags_client *client;
    /* A client that reports exposures. */
    mpflags_client *reporting;
    mpflags_context *context;
    text json;
    text json_500;
    /* `json` in the binary form. */
    text form;
} workload;

/* Runs an evaluation `times` times. The sum keeps the compiler from removing any. */
typedef uint64_t (*case_fn)(const workload *w, uint64_t times);

static inline mpflags_evaluation *encoded_as(const workload *w, int32_t encoding, const char *key, size_t key_len, text context) {
    mpflags_evaluation *evaluation = NULL;
    mpflags_status status = mpflags_client_evaluate_encoded(w->client, key, key_len, context.ptr, context.len, encoding,
                                                            MPFLAGS_TYPE_BOOLEAN, 0, 0, &evaluation, NULL);
    return status == MPFLAGS_OK ? evaluation : NULL;
}

static inline mpflags_evaluation *encoded(const workload *w, const char *key, size_t key_len, text json) {
    return encoded_as(w, MPFLAGS_ENCODING_JSON, key, key_len, json);
}

/* The context of context.json. */
static inline mpflags_context *built(mpflags_context_builder *builder) {
    mpflags_context *context = NULL;
    mpflags_context_builder_set_string(builder, MPFLAGS_S("distinct_id"), MPFLAGS_S("user-00012345678"));
    mpflags_context_builder_set_property_string(builder, MPFLAGS_S("plan"), MPFLAGS_S("premium"));
    mpflags_context_builder_set_property_string(builder, MPFLAGS_S("country"), MPFLAGS_S("DE"));
    mpflags_context_builder_set_property_int64(builder, MPFLAGS_S("age"), 34);
    mpflags_context_builder_set_property_string(builder, MPFLAGS_S("app_version"), MPFLAGS_S("2.11.0"));
    mpflags_context_builder_set_property_boolean(builder, MPFLAGS_S("beta"), 1);
    return mpflags_context_builder_build(builder, &context, NULL) == MPFLAGS_OK ? context : NULL;
}

/* The same in the binary form, as docs/binary.md specifies it. */
static const char FORM[] = "\x01"
    "\x06\x0b" "distinct_id\x10" "user-00012345678"
    "\x08\x11" "custom_properties\x43"
    "\x06\x04" "plan\x07" "premium"
    "\x06\x07" "country\x02" "DE"
    "\x03\x03" "age\x22\0\0\0\0\0\0\0\0\0"
    "\x06\x0b" "app_version\x06" "2.11.0"
    "\x02\x04" "beta";

static inline uint64_t take(mpflags_evaluation *evaluation) {
    uint64_t value = 1 + mpflags_evaluation_boolean(evaluation);
    mpflags_evaluation_free(evaluation);
    return value;
}

static uint64_t handle_eq(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        sum += mpflags_client_get_boolean(w->client, MPFLAGS_S("bench-eq"), w->context, 0);
    }
    return sum;
}

/* The first call reports an exposure, and all others repeat it. */
static uint64_t handle_eq_repeat(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        sum += mpflags_client_get_boolean(w->reporting, MPFLAGS_S("bench-eq"), w->context, 0);
    }
    return sum;
}

static uint64_t handle_and5(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        sum += mpflags_client_get_boolean(w->client, MPFLAGS_S("bench-and5"), w->context, 0);
    }
    return sum;
}

static uint64_t evaluate_eq(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        mpflags_evaluation *evaluation = NULL;
        mpflags_client_evaluate(w->client, MPFLAGS_S("bench-eq"), w->context, MPFLAGS_TYPE_BOOLEAN, 0, 0, &evaluation, NULL);
        sum += take(evaluation);
    }
    return sum;
}

static uint64_t json_eq(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        sum += take(encoded(w, MPFLAGS_S("bench-eq"), w->json));
    }
    return sum;
}

static uint64_t json_and5(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        sum += take(encoded(w, MPFLAGS_S("bench-and5"), w->json));
    }
    return sum;
}

static uint64_t binary_eq(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        sum += take(encoded_as(w, MPFLAGS_ENCODING_BINARY, MPFLAGS_S("bench-eq"), w->form));
    }
    return sum;
}

static uint64_t binary_and5(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        sum += take(encoded_as(w, MPFLAGS_ENCODING_BINARY, MPFLAGS_S("bench-and5"), w->form));
    }
    return sum;
}

/* As bindings call it: without an evaluation handle. */
static uint64_t packed_and5(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        sum += mpflags_client_evaluate_packed(w->client, MPFLAGS_S("bench-and5"), w->form.ptr, w->form.len,
                                              MPFLAGS_TYPE_BOOLEAN | (uint32_t)MPFLAGS_ENCODING_BINARY << 24);
    }
    return sum;
}

/* A context for one evaluation, from a builder that is made once. */
static uint64_t built_and5(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    mpflags_context_builder *builder = mpflags_context_builder_new();
    for (uint64_t i = 0; i < times; i++) {
        mpflags_context *context = built(builder);
        sum += mpflags_client_get_boolean(w->client, MPFLAGS_S("bench-and5"), context, 0);
        mpflags_context_free(context);
    }
    mpflags_context_builder_free(builder);
    return sum;
}

/* The same with a new builder each time. */
static uint64_t builder_and5(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        mpflags_context_builder *builder = mpflags_context_builder_new();
        mpflags_context *context = built(builder);
        sum += mpflags_client_get_boolean(w->client, MPFLAGS_S("bench-and5"), context, 0);
        mpflags_context_free(context);
        mpflags_context_builder_free(builder);
    }
    return sum;
}

static uint64_t json_500(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        sum += take(encoded(w, MPFLAGS_S("bench-eq"), w->json_500));
    }
    return sum;
}

static uint64_t new_context_5(const workload *w, uint64_t times) {
    for (uint64_t i = 0; i < times; i++) {
        mpflags_context_free(new_context(w->json));
    }
    return times;
}

/* All 1,000 flags, including freeing the result. */
static uint64_t all(const workload *w, uint64_t times) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < times; i++) {
        mpflags_evaluations *evaluations = NULL;
        mpflags_client_evaluate_all(w->client, w->context, 0, 0, &evaluations, NULL);
        sum += mpflags_evaluations_count(evaluations);
        mpflags_evaluations_free(evaluations);
    }
    return sum;
}

/* Chained FNV-1a hashes of 40 bytes: 43 ns each, at full speed, on the machine that the goals were set on. Shows how fast this
   machine is right now. */
static uint64_t reference(const workload *w, uint64_t times) {
    uint64_t state = (uint64_t)(uintptr_t)w;
    for (uint64_t i = 0; i < times; i++) {
        for (int byte = 0; byte < 40; byte++) {
            state = (state ^ (uint64_t)byte) * 0x100000001b3u;
        }
    }
    return state;
}

static const struct {
    const char *name;
    case_fn run;
} CASES[] = {
    {"handle-eq", handle_eq},
    {"handle-eq-repeat", handle_eq_repeat},
    {"handle-and5", handle_and5},
    {"evaluate-eq", evaluate_eq},
    {"json-eq", json_eq},
    {"json-and5", json_and5},
    {"binary-eq", binary_eq},
    {"binary-and5", binary_and5},
    {"packed-and5", packed_and5},
    {"built-and5", built_and5},
    {"builder-and5", builder_and5},
    {"json-500", json_500},
    {"context", new_context_5},
    {"all", all},
    {"reference", reference},
};

static inline case_fn find_case(const char *name) {
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        if (strcmp(CASES[i].name, name) == 0) {
            return CASES[i].run;
        }
    }
    return NULL;
}

/* Failing evaluations would be fast. */
static inline void expect_match(mpflags_evaluation *evaluation) {
    if (evaluation == NULL || !mpflags_evaluation_has_value(evaluation)
        || mpflags_evaluation_reason(evaluation) != MPFLAGS_REASON_TARGETING_MATCH) {
        fail("an evaluation returned an unexpected result");
    }
    mpflags_evaluation_free(evaluation);
}

static inline workload load_workload(const char *directory) {
    text config = read_workload(directory, "config.json"), reporting = read_workload(directory, "config-exposures.json");
    workload w = {
        .client = new_client(config.ptr, config.len),
        .reporting = new_client(reporting.ptr, reporting.len),
        .json = read_workload(directory, "context.json"),
        .json_500 = read_workload(directory, "context-500.json"),
        .form = {(char *)FORM, sizeof FORM - 1},
    };
    free(config.ptr);
    free(reporting.ptr);
    w.context = new_context(w.json);
    expect_match(encoded(&w, MPFLAGS_S("bench-eq"), w.json));
    expect_match(encoded(&w, MPFLAGS_S("bench-and5"), w.json));
    expect_match(encoded(&w, MPFLAGS_S("bench-eq"), w.json_500));
    expect_match(encoded_as(&w, MPFLAGS_ENCODING_BINARY, MPFLAGS_S("bench-and5"), w.form));
    if (built_and5(&w, 1) != 1) {
        fail("a context from a builder does not match");
    }
    if (all(&w, 1) != 1000) {
        fail("expected 1,000 evaluations");
    }
    return w;
}

#endif
