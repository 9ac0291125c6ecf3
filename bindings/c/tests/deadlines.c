/* Calls every function while nothing responds, with a limit for those that have one. Prints for each call its name, the limit and
 * the time it took, in milliseconds.
 *
 *   deadlines URL RESOLVER
 *
 * RESOLVER `hangs` makes name look-ups hang.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mpflags.h"

enum { LIMIT = 300, REQUEST = 500, FREE = 1000 };

static int hangs;

/* Replaces the C library's. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    (void)node; (void)service; (void)hints; (void)found;
    if (hangs) sleep(60);
    return EAI_AGAIN;
}

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static long long begun;

static void done(const char *name, int limit)
{
    printf("%s %d %lld\n", name, limit, now() - begun);
}

/* The call, and how long it took. A macro, since each call has other arguments. */
#define CALL(limit, function, ...) (begun = now(), (void)function(__VA_ARGS__), done(#function, limit))

static mpflags_client *new_client(const char *url, const char *more)
{
    char config[512];
    int len = snprintf(config, sizeof config,
                       "{\"token\": \"t\", \"api_host\": \"%s\", \"allow_insecure_http\": true, \"proxy\": \"\","
                       " \"request_timeout_ms\": %d, \"init_timeout_ms\": %d, \"shutdown_timeout_ms\": %d%s}",
                       url, REQUEST, LIMIT, LIMIT, more);
    mpflags_client *client = NULL;
    mpflags_error *error = NULL;
    begun = now();
    mpflags_status status = mpflags_client_new(config, (size_t)len, &client, &error);
    done("mpflags_client_new", 0);
    if (status != MPFLAGS_OK) {
        fprintf(stderr, "%s\n", mpflags_error_message(error).ptr);
        exit(1);
    }
    return client;
}

static void on_item(const mpflags_item *item, void *unused)
{
    (void)item; (void)unused;
}

static void drop(void *unused)
{
    (void)unused;
}

/* A table without columns and rows. */
static void release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    (void)stream;
    *out = (struct ArrowSchema){"+s", "", NULL, 0, 0, NULL, NULL, release_schema, NULL};
    return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    (void)stream;
    out->release = NULL;
    return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return NULL;
}

static void release_stream(struct ArrowArrayStream *stream)
{
    stream->release = NULL;
}

/* `wait`: the limit of evaluations. */
static void evaluate(mpflags_client *client, const mpflags_context *context, int wait, uint32_t timeout)
{
    mpflags_evaluation *evaluation = NULL;
    mpflags_evaluations *all = NULL;
    mpflags_text *text = NULL;
    /* Those without a time limit of their own wait for as long as a request may take. */
    int own = wait == 0 ? 0 : REQUEST;
    CALL(own, mpflags_client_get_boolean, client, MPFLAGS_S("f"), context, 0);
    CALL(own, mpflags_client_get_int64, client, MPFLAGS_S("f"), context, 0);
    CALL(own, mpflags_client_get_double, client, MPFLAGS_S("f"), context, 0);
    CALL(wait, mpflags_client_evaluate, client, MPFLAGS_S("f"), context, MPFLAGS_TYPE_ANY, 0, timeout, &evaluation, NULL);
    /* Nothing is reported; what matters is that this does not wait. */
    CALL(0, mpflags_client_track_exposure, client, evaluation, NULL);
    mpflags_evaluation_free(evaluation);
    CALL(wait, mpflags_client_evaluate_encoded, client, MPFLAGS_S("f"), MPFLAGS_S("{\"distinct_id\": \"u\"}"), MPFLAGS_ENCODING_JSON,
         MPFLAGS_TYPE_ANY, 0, timeout, &evaluation, NULL);
    mpflags_evaluation_free(evaluation);
    CALL(wait, mpflags_client_evaluate_all, client, context, 0, timeout, &all, NULL);
    mpflags_evaluations_free(all);
    /* A remote client refuses it. */
    struct ArrowArrayStream users = {get_schema, get_next, get_last_error, release_stream, NULL}, results = {0};
    CALL(0, mpflags_client_evaluate_table, client, &users, MPFLAGS_S("{}"), &results, NULL);
    if (results.release != NULL) results.release(&results);
    CALL(0, mpflags_client_explain, client, MPFLAGS_S("f"), context, &text, NULL);
    mpflags_text_free(text);
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    hangs = strcmp(argv[2], "hangs") == 0;
    mpflags_context *context = NULL;
    if (mpflags_context_new_json(MPFLAGS_S("{\"distinct_id\": \"u\"}"), &context, NULL) != MPFLAGS_OK) return 1;

    mpflags_client *client = new_client(argv[1], "");
    CALL(0, mpflags_client_start, client, NULL);
    CALL(LIMIT, mpflags_client_wait_ready, client, LIMIT, NULL);
    CALL(LIMIT, mpflags_client_refresh, client, LIMIT, NULL);
    CALL(0, mpflags_client_state, client);
    CALL(0, mpflags_client_timeout, client, MPFLAGS_TIMEOUT_INIT);
    evaluate(client, context, 0, LIMIT);
    CALL(0, mpflags_client_set_override, client, MPFLAGS_S("o"), MPFLAGS_S("true"), NULL);
    CALL(0, mpflags_client_clear_override, client, MPFLAGS_S("o"), NULL);
    CALL(0, mpflags_client_track, client, MPFLAGS_S("E"), MPFLAGS_S("u"), MPFLAGS_S("{}"), NULL);
    CALL(0, mpflags_client_people_update, client, MPFLAGS_S("$set"), MPFLAGS_S("u"), MPFLAGS_S("{\"a\": 1}"), NULL);
    CALL(0, mpflags_client_group_update, client, MPFLAGS_S("$set"), MPFLAGS_S("company"), MPFLAGS_S("a"), MPFLAGS_S("{\"a\": 1}"), NULL);
    uint64_t undelivered = 0;
    CALL(LIMIT, mpflags_client_flush, client, LIMIT, &undelivered, NULL);
    mpflags_text *text = NULL;
    CALL(0, mpflags_client_statistics, client, &text, NULL);
    mpflags_text_free(text);
    mpflags_item *item = NULL;
    while (mpflags_client_next_item(client, 0, &item, NULL) == MPFLAGS_OK) mpflags_item_free(item);
    item = NULL;
    CALL(LIMIT, mpflags_client_next_item, client, LIMIT, &item, NULL);
    mpflags_item_free(item);
    CALL(LIMIT, mpflags_client_shutdown, client, LIMIT, &undelivered, NULL);
    CALL(0, mpflags_client_free, client);

    /* Freed while it runs, with an event to deliver. */
    client = new_client(argv[1], "");
    CALL(0, mpflags_client_on_item, client, on_item, NULL, drop, NULL);
    CALL(0, mpflags_client_start, client, NULL);
    CALL(0, mpflags_client_track, client, MPFLAGS_S("E"), MPFLAGS_S("u"), MPFLAGS_S("{}"), NULL);
    CALL(FREE, mpflags_client_free, client);

    client = new_client(argv[1], ", \"mode\": \"remote\"");
    CALL(0, mpflags_client_start, client, NULL);
    CALL(0, mpflags_client_wait_ready, client, LIMIT, NULL);
    evaluate(client, context, LIMIT, LIMIT);
    CALL(FREE, mpflags_client_free, client);
    mpflags_context_free(context);
    return 0;
}
