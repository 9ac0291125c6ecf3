/* Tables: streams made by hand, valid and broken, and what comes out of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpflags.h"

static int failures;

#define CHECK(condition) \
    do { if (!(condition)) { failures++; fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); } } while (0)

#define FLAG(key, rest) "{\"key\": \"" key "\", \"context\": \"distinct_id\", \"ruleset\": {\"variants\": [" \
    "{\"key\": \"on\", \"value\": {\"a\": 1}}], \"rollout\": [{\"rollout_percentage\": 1" rest "}]}}"
#define CONFIG "{\"token\": \"t\", \"enable_polling\": false, \"definitions\": {\"flags\": [" FLAG("all", "") "," \
    FLAG("plan", ", \"runtime_evaluation_rule\": {\"==\": [{\"var\": \"plan\"}, \"pro\"]}") "]}}"

/* What is wrong with the users. */
enum fault { NOTHING, NO_SCHEMA, FAILS, NO_CHILD, OFFSETS, UTF8, KEY, NULL_ROW, NO_BUFFER, SHORT, SHORT_FIELD, SHORT_LIST };

static enum fault fault;
static int batches, streams_released, schemas_released, arrays_released;

/* distinct_id: "u1", "u2", null; plan: a dictionary of "Pro" and "free". */
static const uint8_t valid[] = {3}, none[] = {0};
static int32_t ids[] = {0, 2, 4, 4}, plans[] = {0, 3, 7};
static char id_text[] = "u1u2", plan_text[] = "Profree";
static int8_t keys[] = {0, 1, 0};
static const void *id_buffers[] = {valid, ids, id_text}, *plan_buffers[] = {NULL, plans, plan_text};
static const void *key_buffers[] = {NULL, keys}, *row_buffers[] = {NULL};

static void no_release_of_schema(struct ArrowSchema *schema) { schema->release = NULL; }
static void no_release_of_array(struct ArrowArray *array) { array->release = NULL; }
static void release_schema(struct ArrowSchema *schema) { schemas_released++; schema->release = NULL; }
static void release_array(struct ArrowArray *array) { arrays_released++; array->release = NULL; }

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    static struct ArrowSchema id, plan, words, *children[] = {&id, &plan};
    (void)stream;
    if (fault == NO_SCHEMA)
        return EIO;
    words = (struct ArrowSchema){"u", "", NULL, 2, 0, NULL, NULL, no_release_of_schema, NULL};
    id = (struct ArrowSchema){"u", "distinct_id", NULL, 2, 0, NULL, NULL, no_release_of_schema, NULL};
    plan = (struct ArrowSchema){"c", "plan", NULL, 2, 0, NULL, &words, no_release_of_schema, NULL};
    if (fault == SHORT_FIELD || fault == SHORT_LIST) {
        static struct ArrowSchema part, *parts[] = {&part};
        part = (struct ArrowSchema){"n", "x", NULL, 2, 0, NULL, NULL, no_release_of_schema, NULL};
        plan = (struct ArrowSchema){fault == SHORT_LIST ? "+w:2" : "+s", "plan", NULL, 2, 1, parts, NULL, no_release_of_schema, NULL};
    }
    *out = (struct ArrowSchema){"+s", "", NULL, 0, 2, children, NULL, release_schema, NULL};
    return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    static struct ArrowArray id, plan, words, *children[] = {&id, &plan};
    (void)stream;
    memset(out, 0, sizeof *out);
    if (fault == FAILS)
        return EIO;
    if (batches-- == 0)
        return 0;
    words = (struct ArrowArray){2, 0, 0, 3, 0, plan_buffers, NULL, NULL, no_release_of_array, NULL};
    id = (struct ArrowArray){3, 1, 0, 3, 0, id_buffers, NULL, NULL, no_release_of_array, NULL};
    plan = (struct ArrowArray){3, 0, 0, 2, 0, key_buffers, NULL, &words, no_release_of_array, NULL};
    if (fault == SHORT_FIELD || fault == SHORT_LIST) {
        /* Three rows from the second on need four values, or eight. */
        static struct ArrowArray part, *parts[] = {&part};
        part = (struct ArrowArray){fault == SHORT_LIST ? 7 : 3, 0, 0, 0, 0, NULL, NULL, NULL, no_release_of_array, NULL};
        plan = (struct ArrowArray){3, 0, 1, 1, 1, row_buffers, parts, NULL, no_release_of_array, NULL};
    }
    *out = (struct ArrowArray){3, 0, fault == SHORT, 1, 2, row_buffers, children, NULL, release_array, NULL};
    ids[1] = fault == OFFSETS ? 9 : 2;
    id_text[1] = fault == UTF8 ? (char)0xff : '1';
    keys[1] = fault == KEY ? 5 : 1;
    id_buffers[1] = fault == NO_BUFFER ? NULL : ids;
    row_buffers[0] = fault == NULL_ROW ? none : NULL;
    out->null_count = fault == NULL_ROW ? 3 : 0;
    out->n_children = fault == NO_CHILD ? 1 : 2;
    return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return fault == FAILS ? "the disk is gone" : NULL;
}

static void release_stream(struct ArrowArrayStream *stream) { streams_released++; stream->release = NULL; }

static struct ArrowArrayStream users(int count, enum fault what)
{
    struct ArrowArrayStream stream = {get_schema, get_next, get_last_error, release_stream, NULL};
    batches = count;
    fault = what;
    streams_released = schemas_released = arrays_released = 0;
    return stream;
}

/* A string of a dictionary in a flag's struct. */
static bool is(const struct ArrowArray *flag, int field, int row, const char *expected)
{
    const struct ArrowArray *column = flag->children[field];
    const uint8_t *validity = column->buffers[0];
    if (validity != NULL && !(validity[row / 8] >> row % 8 & 1))
        return expected == NULL;
    int32_t key = ((const int32_t *)column->buffers[1])[column->offset + row];
    const int32_t *ends = column->dictionary->buffers[1];
    size_t length = (size_t)(ends[key + 1] - ends[key]);
    const char *text = (const char *)column->dictionary->buffers[2] + ends[key];
    return expected != NULL && strlen(expected) == length && memcmp(text, expected, length) == 0;
}

static void results_of_two_batches(mpflags_client *client)
{
    struct ArrowArrayStream in = users(2, NOTHING), out;
    struct ArrowSchema schema;
    struct ArrowArray batch;
    CHECK(mpflags_client_evaluate_table(client, &in, MPFLAGS_S("{\"keep\": [\"distinct_id\"]}"), &out, NULL) == MPFLAGS_OK);
    CHECK(in.release == NULL && streams_released == 0 && schemas_released == 1);
    /* The results need neither the client nor its later overrides. */
    CHECK(mpflags_client_set_override(client, MPFLAGS_S("all"), MPFLAGS_S("7"), NULL) == MPFLAGS_OK);
    mpflags_client_free(client);
    for (int i = 0; i < 2; i++) {
        CHECK(out.get_schema(&out, &schema) == 0);
        CHECK(schema.n_children == 3 && strcmp(schema.children[0]->name, "distinct_id") == 0);
        CHECK(strcmp(schema.children[1]->name, "all") == 0 && strcmp(schema.children[2]->name, "plan") == 0);
        CHECK(schema.children[1]->n_children == 4 && strcmp(schema.children[1]->children[3]->name, "error") == 0);
        schema.release(&schema);
        CHECK(out.get_next(&out, &batch) == 0 && batch.release != NULL && batch.length == 3);
        const struct ArrowArray *all = batch.children[1], *plan = batch.children[2];
        CHECK(is(all, 0, 0, "on") && is(all, 1, 0, "{\"a\":1}") && is(all, 2, 0, "STATIC") && is(all, 3, 0, NULL));
        CHECK(is(plan, 0, 0, "on") && is(plan, 2, 0, "TARGETING_MATCH"));
        CHECK(is(plan, 0, 1, NULL) && is(plan, 1, 1, NULL) && is(plan, 2, 1, "DEFAULT") && is(plan, 3, 1, NULL));
        CHECK(is(plan, 2, 2, "ERROR") && is(plan, 3, 2, "TARGETING_KEY_MISSING"));
        batch.release(&batch);
    }
    CHECK(out.get_next(&out, &batch) == 0 && batch.release == NULL && streams_released == 1);
    CHECK(out.get_next(&out, &batch) == 0 && batch.release == NULL);
    out.release(&out);
    CHECK(out.release == NULL && streams_released == 1 && arrays_released == 2);
}

static void broken_batches(const mpflags_client *client)
{
    static const struct { enum fault fault; const char *message; } cases[] = {
        {FAILS, "get_next failed: the disk is gone"},
        {NO_CHILD, "users: a batch: "},
        {OFFSETS, "column `distinct_id`: "},
        {UTF8, "column `distinct_id`: "},
        {KEY, "column `plan`: "},
        {NULL_ROW, "a row that is null as a whole"},
        {NO_BUFFER, "buffer"},
        {SHORT, "column `distinct_id`: 3 values, where a Struct needs 4"},
        {SHORT_FIELD, "column `plan`: 3 values, where a Struct needs 4"},
        {SHORT_LIST, "column `plan`: 7 values, where a FixedSizeList needs 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ArrowArrayStream in = users(3, cases[i].fault), out;
        struct ArrowArray batch;
        CHECK(mpflags_client_evaluate_table(client, &in, NULL, 0, &out, NULL) == MPFLAGS_OK);
        /* The failure stays. */
        for (int twice = 0; twice < 2; twice++) {
            CHECK(out.get_next(&out, &batch) == EINVAL);
            const char *message = out.get_last_error(&out);
            if (message == NULL || strstr(message, cases[i].message) == NULL) {
                failures++;
                fprintf(stderr, "%d: %s\n", (int)cases[i].fault, message);
            }
        }
        out.release(&out);
        CHECK(streams_released == 1);
    }
}

static void failed(mpflags_status status, mpflags_status expected, mpflags_error *err, const char *message)
{
    const char *got = mpflags_error_message(err).ptr;
    if (status != expected || got == NULL || strstr(got, message) == NULL) {
        failures++;
        fprintf(stderr, "status %d: %s, not %s\n", (int)status, got, message);
    }
    CHECK(streams_released == 1);
    mpflags_error_free(err);
}

/* Every failure releases the users, and leaves the results alone. */
static void refused_calls(const mpflags_client *client, const mpflags_client *remote)
{
    struct ArrowArrayStream in = users(1, NOTHING), out = {0};
    mpflags_error *err = NULL;
    mpflags_status status = mpflags_client_evaluate_table(NULL, &in, NULL, 0, &out, &err);
    failed(status, MPFLAGS_NULL_ARGUMENT, err, "client is NULL");
    in = users(1, NOTHING);
    status = mpflags_client_evaluate_table(client, &in, NULL, 0, NULL, &err);
    failed(status, MPFLAGS_NULL_ARGUMENT, err, "results is NULL");
    in = users(1, NOTHING);
    status = mpflags_client_evaluate_table(client, &in, NULL, 2, &out, &err);
    failed(status, MPFLAGS_NULL_ARGUMENT, err, "options is NULL");
    in = users(1, NOTHING);
    status = mpflags_client_evaluate_table(client, &in, MPFLAGS_S("\xff"), &out, &err);
    failed(status, MPFLAGS_INVALID_UTF8, err, "options");
    in = users(1, NOTHING);
    status = mpflags_client_evaluate_table(client, &in, MPFLAGS_S("{\"flag\": []}"), &out, &err);
    failed(status, MPFLAGS_INVALID_ARGUMENT, err, "unknown field `flag`");
    in = users(1, NOTHING);
    status = mpflags_client_evaluate_table(client, &in, MPFLAGS_S("{\"flags\": [\"a\\u0000\"]}"), &out, &err);
    failed(status, MPFLAGS_INVALID_ARGUMENT, err, "Null byte");
    in = users(1, NO_SCHEMA);
    status = mpflags_client_evaluate_table(client, &in, NULL, 0, &out, &err);
    failed(status, MPFLAGS_INVALID_ARGUMENT, err, "get_schema failed with error 5");
    in = users(1, NOTHING);
    status = mpflags_client_evaluate_table(remote, &in, NULL, 0, &out, &err);
    failed(status, MPFLAGS_INVALID_ARGUMENT, err, "remote");
    CHECK(in.release == NULL);
    status = mpflags_client_evaluate_table(client, &in, NULL, 0, &out, &err);
    failed(status, MPFLAGS_INVALID_ARGUMENT, err, "already released");
    status = mpflags_client_evaluate_table(client, NULL, NULL, 0, &out, &err);
    failed(status, MPFLAGS_NULL_ARGUMENT, err, "users is NULL");
    CHECK(out.release == NULL);
    CHECK(mpflags_client_evaluate_table(client, NULL, NULL, 0, &out, NULL) == MPFLAGS_NULL_ARGUMENT);
}

int main(void)
{
    mpflags_client *client = NULL, *remote = NULL;
    CHECK(mpflags_client_new(MPFLAGS_S(CONFIG), &client, NULL) == MPFLAGS_OK);
    CHECK(mpflags_client_new(MPFLAGS_S("{\"token\": \"t\", \"mode\": \"remote\"}"), &remote, NULL) == MPFLAGS_OK);
    refused_calls(client, remote);
    broken_batches(client);
    CHECK(mpflags_client_shutdown(client, 1000, NULL, NULL) == MPFLAGS_OK);
    results_of_two_batches(client);
    mpflags_client_free(remote);
    return failures != 0;
}
