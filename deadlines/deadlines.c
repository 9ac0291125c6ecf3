/* The program of deadlines/run.py for C.
 *
 *   deadlines URL
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mpflags.h"

/* The limits of calls and requests, of freeing a client, and of calls that another one ends, in ms. */
enum { LIMIT = 600, REQUEST = 900, FREE = 1000, LONG = 30000 };
/* The limits of calls that do not wait, and how often each local evaluation is measured. */
enum { NONE = 0, EVALUATION = -1, TIMES = 100 };

#define FLAG "{\"key\": \"f\", \"context\": \"distinct_id\", \"ruleset\": {\"variants\": [{\"key\": \"a\", \"value\": true," \
             " \"split\": 1.0}], \"rollout\": [{\"rollout_percentage\": 1.0}]}}"

static const char *url;

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static long long begun;

static void done(const char *name, int limit)
{
    long long took = now() - begun;
    if (limit > 0) printf("%d", limit);
    else fputs(limit == NONE ? "none" : "evaluation", stdout);
    printf(" %lld %s\n", took, name);
    fflush(stdout);
}

/* The call, and how long it took. A macro, since each call has other arguments. */
#define CALL(limit, function, ...) (begun = now(), (void)function(__VA_ARGS__), done(#function, limit))

/* `more` begins with a comma. */
static mpflags_client *new_client(int request, const char *more)
{
    char config[1024];
    int len = snprintf(config, sizeof config,
                       "{\"token\": \"t\", \"api_host\": \"%s\", \"allow_insecure_http\": true, \"proxy\": \"\","
                       " \"request_timeout_ms\": %d, \"init_timeout_ms\": %d%s}",
                       url, request, LIMIT, more);
    mpflags_client *client = NULL;
    mpflags_error *error = NULL;
    begun = now();
    mpflags_status status = mpflags_client_new(config, (size_t)len, &client, &error);
    done("mpflags_client_new", NONE);
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

/* `limit` is that of calls with a timeout. */
static void evaluate(mpflags_client *client, const mpflags_context *context, int limit, uint32_t timeout)
{
    mpflags_evaluation *evaluation = NULL;
    mpflags_evaluations *all = NULL;
    /* Those without a timeout wait for as long as a request may take. */
    int own = limit > 0 ? REQUEST : limit;
    CALL(own, mpflags_client_get_boolean, client, MPFLAGS_S("f"), context, 0);
    CALL(own, mpflags_client_get_int64, client, MPFLAGS_S("f"), context, 0);
    CALL(own, mpflags_client_get_double, client, MPFLAGS_S("f"), context, 0);
    CALL(limit, mpflags_client_evaluate, client, MPFLAGS_S("f"), context, MPFLAGS_TYPE_ANY, MPFLAGS_OPTION_NO_EXPOSURE, timeout,
         &evaluation, NULL);
    CALL(NONE, mpflags_client_track_exposure, client, evaluation, NULL);
    mpflags_evaluation_free(evaluation);
    CALL(limit, mpflags_client_evaluate_encoded, client, MPFLAGS_S("f"), MPFLAGS_S("{\"distinct_id\": \"u\"}"),
         MPFLAGS_ENCODING_JSON, MPFLAGS_TYPE_ANY, 0, timeout, &evaluation, NULL);
    mpflags_evaluation_free(evaluation);
    CALL(limit, mpflags_client_evaluate_all, client, context, 0, timeout, &all, NULL);
    mpflags_evaluations_free(all);
    /* A remote client refuses it. */
    struct ArrowArrayStream users = {get_schema, get_next, get_last_error, release_stream, NULL}, results = {0};
    CALL(limit > 0 ? NONE : limit, mpflags_client_evaluate_table, client, &users, MPFLAGS_S("{}"), &results, NULL);
    if (results.release != NULL) {
        results.release(&results);
    } else if (limit == EVALUATION) {
        fprintf(stderr, "mpflags_client_evaluate_table failed\n");
        exit(1);
    }
}

static mpflags_context *user(const char *kind, int number)
{
    char json[64];
    int len = snprintf(json, sizeof json, "{\"distinct_id\": \"%s%d\"}", kind, number);
    mpflags_context *context = NULL;
    if (mpflags_context_new_json(json, (size_t)len, &context, NULL) != MPFLAGS_OK) exit(1);
    return context;
}

static void *refresh(void *client)
{
    mpflags_client_refresh(client, LONG, NULL);
    return NULL;
}

static void *flush(void *client)
{
    mpflags_client_flush(client, LONG, NULL, NULL);
    return NULL;
}

static void track(mpflags_client *client)
{
    CALL(NONE, mpflags_client_track, client, MPFLAGS_S("E"), MPFLAGS_S("u"), MPFLAGS_S("{}"), NULL);
}

/* The calls for which a local client waits. They fail, as nothing responds. */
static void local(void)
{
    mpflags_client *client = new_client(REQUEST, ", \"shutdown_timeout_ms\": 600");
    CALL(NONE, mpflags_client_start, client, NULL);
    CALL(LIMIT, mpflags_client_wait_ready, client, MPFLAGS_TIMEOUT_CONFIGURED, NULL);
    CALL(LIMIT / 2, mpflags_client_wait_ready, client, LIMIT / 2, NULL);
    CALL(REQUEST, mpflags_client_refresh, client, MPFLAGS_TIMEOUT_CONFIGURED, NULL);
    CALL(LIMIT, mpflags_client_refresh, client, LIMIT, NULL);
    track(client);
    CALL(LIMIT, mpflags_client_flush, client, LIMIT, NULL, NULL);
    mpflags_item *item = NULL;
    while (mpflags_client_next_item(client, 0, &item, NULL) == MPFLAGS_OK) mpflags_item_free(item);
    CALL(LIMIT / 2, mpflags_client_next_item, client, LIMIT / 2, &item, NULL);
    CALL(LIMIT, mpflags_client_shutdown, client, LIMIT, NULL, NULL);
    mpflags_client_start(client, NULL);
    track(client);
    CALL(LIMIT, mpflags_client_shutdown, client, MPFLAGS_TIMEOUT_CONFIGURED, NULL, NULL);
    CALL(NONE, mpflags_client_free, client);

    /* Freed while it runs, with an event to deliver. */
    client = new_client(REQUEST, ", \"shutdown_timeout_ms\": 600");
    CALL(NONE, mpflags_client_on_item, client, on_item, NULL, drop, NULL);
    CALL(NONE, mpflags_client_start, client, NULL);
    track(client);
    CALL(LIMIT, mpflags_client_free, client);
    client = new_client(LONG, "");
    CALL(NONE, mpflags_client_start, client, NULL);
    track(client);
    CALL(FREE, mpflags_client_free, client);
}

/* The calls for which a local client does not wait, while threads wait in it. */
static void busy(void)
{
    mpflags_client *client = new_client(REQUEST, ", \"shutdown_timeout_ms\": 600, \"definitions\": {\"flags\": [" FLAG "]}");
    CALL(NONE, mpflags_client_start, client, NULL);
    track(client);
    pthread_t threads[2];
    if (pthread_create(&threads[0], NULL, refresh, client) != 0 || pthread_create(&threads[1], NULL, flush, client) != 0) exit(1);
    for (int i = 0; i < TIMES; i++) {
        /* Another user each time, so that each has an exposure to report. */
        mpflags_context *context = user("u", i);
        evaluate(client, context, EVALUATION, 0);
        mpflags_context_free(context);
    }
    mpflags_context *context = user("u", 0);
    mpflags_text *text = NULL;
    CALL(NONE, mpflags_client_explain, client, MPFLAGS_S("f"), context, &text, NULL);
    mpflags_text_free(text);
    mpflags_context_free(context);
    CALL(NONE, mpflags_client_wait_ready, client, LIMIT, NULL);
    CALL(NONE, mpflags_client_start, client, NULL);
    CALL(NONE, mpflags_client_state, client);
    CALL(NONE, mpflags_client_timeout, client, MPFLAGS_TIMEOUT_INIT);
    CALL(NONE, mpflags_client_set_override, client, MPFLAGS_S("o"), MPFLAGS_S("true"), NULL);
    CALL(NONE, mpflags_client_clear_override, client, MPFLAGS_S("o"), NULL);
    CALL(NONE, mpflags_client_people_update, client, MPFLAGS_S("$set"), MPFLAGS_S("u"), MPFLAGS_S("{\"a\": 1}"), NULL);
    CALL(NONE, mpflags_client_group_update, client, MPFLAGS_S("$set"), MPFLAGS_S("company"), MPFLAGS_S("a"), MPFLAGS_S("{\"a\": 1}"),
         NULL);
    CALL(NONE, mpflags_client_statistics, client, &text, NULL);
    mpflags_text_free(text);
    CALL(NONE, mpflags_client_refresh, client, 0, NULL);
    CALL(NONE, mpflags_client_flush, client, 0, NULL, NULL);
    mpflags_item *item = NULL;
    CALL(NONE, mpflags_client_next_item, client, 0, &item, NULL);
    mpflags_item_free(item);
    CALL(LIMIT, mpflags_client_shutdown, client, LIMIT, NULL, NULL);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CALL(NONE, mpflags_client_free, client);
}

static void remote(void)
{
    mpflags_client *client = new_client(REQUEST, ", \"shutdown_timeout_ms\": 600, \"mode\": \"remote\"");
    CALL(NONE, mpflags_client_start, client, NULL);
    CALL(NONE, mpflags_client_wait_ready, client, LIMIT, NULL);
    CALL(NONE, mpflags_client_refresh, client, LIMIT, NULL);
    mpflags_context *context = user("u", 0);
    evaluate(client, context, LIMIT, LIMIT);
    evaluate(client, context, REQUEST, 0);
    mpflags_context_free(context);
    track(client);
    CALL(LIMIT, mpflags_client_free, client);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    url = argv[1];
    local();
    busy();
    remote();
    return 0;
}
