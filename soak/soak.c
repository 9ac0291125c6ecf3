/* A host program under load, for soak/run.py.

       soak URL [PLANT]

   Ten clients of four threads each evaluate and report events; another thread creates and frees clients, and another forks
   children, which report events too. Reads lines from standard input: `work`; `rest`, which stops the work, delivers every event,
   and prints `EVENTS SENT LOST`, the totals so far; and `end`, which frees everything and prints them again. EVENTS counts the
   calls of this program; SENT and LOST are the clients' own counts.

   PLANT makes a mistake in every round of work: `memory`, `thread`, `descriptor`, `lost` (an event that nobody reports) and
   `doubled` (an event that is reported twice). */

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mpflags.h"

enum { CLIENTS = 10, THREADS = 4, KNOWN = 16, EVALUATIONS = 50 };

/* Shared with the children. */
typedef struct {
    atomic_ullong users, events, sent, lost;
} totals;

static totals *total;
static const char *url;
static mpflags_client *clients[CLIENTS];
static mpflags_context *known[KNOWN];

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool working, ending;
static int busy;

static void fail(const char *what, mpflags_error *error)
{
    fprintf(stderr, "soak: %s: %s\n", what, error == NULL ? "failed" : mpflags_error_message(error).ptr);
    _exit(1);
}

/* The error by address: C may read the arguments in any order, and the call before this one sets it. */
static void check(const char *what, mpflags_status status, mpflags_error **error)
{
    if (status == MPFLAGS_OK) return;
    fprintf(stderr, "soak: status %d\n", (int)status);
    fail(what, *error);
}

static void pause_ms(long ms)
{
    struct timespec span = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&span, NULL);
}

/* Waits for work. False at the end. */
static bool begin(void)
{
    pthread_mutex_lock(&mutex);
    while (!working && !ending) pthread_cond_wait(&changed, &mutex);
    bool more = !ending;
    busy += more;
    pthread_mutex_unlock(&mutex);
    return more;
}

static void end(void)
{
    pthread_mutex_lock(&mutex);
    busy--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static mpflags_client *new_client(void)
{
    char config[512];
    /* Small queues and few remembered exposures, so that both are full soon, and memory does not grow with them later. */
    int len = snprintf(config, sizeof config,
                       "{\"token\": \"t\", \"api_host\": \"%s\", \"polling_interval_ms\": 100, \"retry_base_ms\": 20,"
                       " \"request_timeout_ms\": 2000, \"event_flush_interval_ms\": 50, \"event_retry_base_ms\": 50,"
                       " \"event_retry_max_ms\": 500, \"event_queue_capacity\": 200, \"exposure_dedupe_capacity\": 100,"
                       " \"log_level\": \"debug\"}",
                       url);
    mpflags_client *client = NULL;
    mpflags_error *error = NULL;
    check("client", mpflags_client_new(config, (size_t)len, &client, &error), &error);
    check("start", mpflags_client_start(client, &error), &error);
    return client;
}

static mpflags_context *new_context(unsigned long long user, const char *prefix)
{
    char json[128];
    int len = snprintf(json, sizeof json, "{\"distinct_id\": \"%s%llu\", \"custom_properties\": {\"plan\": \"pro\"}}", prefix, user);
    mpflags_context *context = NULL;
    mpflags_error *error = NULL;
    check("context", mpflags_context_new_json(json, (size_t)len, &context, &error), &error);
    return context;
}

/* Shows the flag to a new user, and reports an event. */
static void report(const mpflags_client *client)
{
    mpflags_context *context = new_context(atomic_fetch_add(&total->users, 1), "new-");
    mpflags_evaluation *evaluation = NULL;
    mpflags_error *error = NULL;
    check("evaluate", mpflags_client_evaluate(client, MPFLAGS_S("f"), context, MPFLAGS_TYPE_ANY, 0, 0, &evaluation, &error), &error);
    /* Without definitions there is no exposure. */
    if (mpflags_evaluation_variant(evaluation).len > 0) atomic_fetch_add(&total->events, 1);
    mpflags_evaluation_free(evaluation);
    mpflags_context_free(context);
    mpflags_status status = mpflags_client_track(client, MPFLAGS_S("Bought"), MPFLAGS_S("u"), MPFLAGS_S("{\"price\": 1}"), &error);
    /* A full queue is counted by the client. */
    if (status != MPFLAGS_OK && status != MPFLAGS_QUEUE_FULL) fail("track", error);
    mpflags_error_free(error);
    atomic_fetch_add(&total->events, 1);
}

/* Evaluates a known user in each way, without an exposure. */
static void evaluate(const mpflags_client *client, unsigned i)
{
    const mpflags_context *context = known[i % KNOWN];
    mpflags_evaluation *evaluation = NULL;
    mpflags_evaluations *all = NULL;
    mpflags_text *text = NULL;
    mpflags_error *error = NULL;
    switch (i % 8) {
    case 0:
        check("evaluate all", mpflags_client_evaluate_all(client, context, 0, 0, &all, &error), &error);
        mpflags_evaluations_free(all);
        break;
    case 1:
        check("explain", mpflags_client_explain(client, MPFLAGS_S("f"), context, &text, &error), &error);
        mpflags_text_free(text);
        break;
    case 2:
        check("encoded",
              mpflags_client_evaluate_encoded(client, MPFLAGS_S("f"), MPFLAGS_S("{\"distinct_id\": \"u\"}"), MPFLAGS_ENCODING_JSON,
                                              MPFLAGS_TYPE_BOOLEAN, MPFLAGS_OPTION_NO_EXPOSURE, 0, &evaluation, &error),
              &error);
        mpflags_evaluation_free(evaluation);
        break;
    case 3:
        /* A flag that does not exist. */
        mpflags_client_get_boolean(client, MPFLAGS_S("none"), context, 0);
        break;
    default:
        check("evaluate",
              mpflags_client_evaluate(client, MPFLAGS_S("f"), context, MPFLAGS_TYPE_ANY, MPFLAGS_OPTION_NO_EXPOSURE, 0, &evaluation, &error),
              &error);
        mpflags_evaluation_free(evaluation);
    }
}

static void *user_thread(void *argument)
{
    const mpflags_client *client = argument;
    for (unsigned round = 0; begin(); round++) {
        for (unsigned i = 0; i < EVALUATIONS; i++) evaluate(client, round + i);
        report(client);
        end();
        pause_ms(50);
    }
    return NULL;
}

/* Takes the items of all clients. */
static void *item_thread(void *unused)
{
    while (begin()) {
        for (int i = 0; i < CLIENTS; i++) {
            mpflags_item *item = NULL;
            while (mpflags_client_next_item(clients[i], 0, &item, NULL) == MPFLAGS_OK) mpflags_item_free(item);
        }
        end();
        pause_ms(20);
    }
    return unused;
}

static unsigned long long number(const char *json, const char *key)
{
    const char *at = strstr(json, key);
    if (at == NULL) fail(key, NULL);
    return strtoull(at + strlen(key), NULL, 10);
}

/* Adds a client's own counts of its events. */
static void add(const mpflags_client *client, unsigned long long *sent, unsigned long long *lost)
{
    mpflags_text *text = NULL;
    mpflags_error *error = NULL;
    check("statistics", mpflags_client_statistics(client, &text, &error), &error);
    const char *json = mpflags_text_view(text).ptr;
    *sent += number(json, "\"sent\":");
    *lost += number(json, "\"queue_full\":") + number(json, "\"rejected\":") + number(json, "\"shutdown\":");
    mpflags_text_free(text);
}

/* Shuts down a client that only this thread uses, and adds its counts. */
static void finish(mpflags_client *client)
{
    unsigned long long sent = 0, lost = 0;
    mpflags_error *error = NULL;
    mpflags_status status = mpflags_client_shutdown(client, 3000, NULL, &error);
    /* On a busy machine, a thread may need longer. It still ends, or the threads at rest would become more. */
    if (status == MPFLAGS_TIMEOUT) {
        fprintf(stderr, "soak: shutdown: %s\n", mpflags_error_message(error).ptr);
        mpflags_error_free(error);
    } else {
        check("shutdown", status, &error);
    }
    add(client, &sent, &lost);
    atomic_fetch_add(&total->sent, sent);
    atomic_fetch_add(&total->lost, lost);
}

static void *churn_thread(void *unused)
{
    while (begin()) {
        mpflags_client *client = new_client();
        mpflags_error *error = NULL;
        /* It may fail, while the server does. */
        mpflags_client_wait_ready(client, 100, &error);
        mpflags_error_free(error);
        for (int i = 0; i < 5; i++) report(client);
        finish(client);
        mpflags_client_free(client);
        end();
        pause_ms(100);
    }
    return unused;
}

static void *fork_thread(void *unused)
{
    for (unsigned round = 0; begin(); round++) {
        mpflags_client *client = clients[round % CLIENTS];
        pid_t pid = fork();
        if (pid < 0) fail("fork", NULL);
        if (pid == 0) {
            for (int i = 0; i < 5; i++) report(client);
            finish(client);
            _exit(0);
        }
        int status = 0;
        if (waitpid(pid, &status, 0) != pid || status != 0) fail("a child", NULL);
        end();
        pause_ms(500);
    }
    return unused;
}

static void *sleeper(void *unused)
{
    for (;;) pause();
    return unused;
}

static void plant(const char *kind)
{
    pthread_t thread;
    if (strcmp(kind, "memory") == 0) {
        char *lost = malloc(512 * 1024);
        if (lost == NULL) fail("malloc", NULL);
        for (size_t i = 0; i < 512 * 1024; i += 4096) ((volatile char *)lost)[i] = 1;
    } else if (strcmp(kind, "thread") == 0) {
        pthread_create(&thread, NULL, sleeper, NULL);
    } else if (strcmp(kind, "descriptor") == 0) {
        if (open("/dev/null", O_RDONLY) < 0) fail("open", NULL);
    } else if (strcmp(kind, "lost") == 0) {
        atomic_fetch_add(&total->events, 1);
    } else if (strcmp(kind, "doubled") == 0) {
        report(clients[0]);
        atomic_fetch_sub(&total->events, 1);
    } else {
        fail("PLANT", NULL);
    }
}

/* Stops the work, and delivers every event. */
static void rest(void)
{
    pthread_mutex_lock(&mutex);
    working = false;
    while (busy > 0) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < CLIENTS; i++) {
        uint64_t left = 1;
        mpflags_error *error = NULL;
        check("flush", mpflags_client_flush(clients[i], 60000, &left, &error), &error);
        if (left != 0) fail("events are stuck in a queue", NULL);
        /* The server may still be down for a moment. */
        for (int attempt = 0; mpflags_client_refresh(clients[i], 60000, &error) != MPFLAGS_OK; attempt++) {
            if (attempt == 1200) fail("refresh", error);
            mpflags_error_free(error);
            error = NULL;
            pause_ms(50);
        }
    }
    malloc_trim(0);
}

static void print_totals(bool alive)
{
    unsigned long long sent = atomic_load(&total->sent), lost = atomic_load(&total->lost);
    for (int i = 0; alive && i < CLIENTS; i++) add(clients[i], &sent, &lost);
    printf("%llu %llu %llu\n", (unsigned long long)atomic_load(&total->events), sent, lost);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) fail("usage: soak URL [PLANT]", NULL);
    url = argv[1];
    total = mmap(NULL, sizeof *total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (total == MAP_FAILED) fail("mmap", NULL);
    for (unsigned i = 0; i < KNOWN; i++) known[i] = new_context(i, "known-");
    pthread_t threads[CLIENTS * THREADS + 3];
    int count = 0;
    for (int i = 0; i < CLIENTS; i++) {
        mpflags_error *error = NULL;
        clients[i] = new_client();
        check("wait", mpflags_client_wait_ready(clients[i], 10000, &error), &error);
        for (int n = 0; n < THREADS; n++) pthread_create(&threads[count++], NULL, user_thread, clients[i]);
    }
    void *(*const others[])(void *) = {item_thread, churn_thread, fork_thread};
    for (int i = 0; i < 3; i++) pthread_create(&threads[count++], NULL, others[i], NULL);
    char line[16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "work\n") == 0) {
            if (argc == 3) plant(argv[2]);
            pthread_mutex_lock(&mutex);
            working = true;
            pthread_cond_broadcast(&changed);
            pthread_mutex_unlock(&mutex);
            continue;
        }
        rest();
        if (strcmp(line, "rest\n") == 0) {
            print_totals(true);
            continue;
        }
        pthread_mutex_lock(&mutex);
        ending = true;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
        for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
        for (int i = 0; i < CLIENTS; i++) {
            finish(clients[i]);
            mpflags_client_free(clients[i]);
        }
        for (int i = 0; i < KNOWN; i++) mpflags_context_free(known[i]);
        print_totals(false);
        /* Until standard input ends, so that soak/run.py can see what the process still holds. */
    }
    return 0;
}
