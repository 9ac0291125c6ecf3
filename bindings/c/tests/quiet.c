/* An evaluation with a context handle only computes. Exposures are on, and a repeated one costs nothing either.
 *
 *   quiet alone FILE    counts what 100,000 evaluations of each flag allocate and free
 *   quiet swapped URL   four threads evaluate between two system calls that mark the trace of strace, while the server
 *                       changes the definitions; each counts what it allocates and frees
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../bench/c/allocations.h"
#include "mpflags.h"

enum { TIMES = 100000, THREADS = 4, SWAPS = 40, MARK = -4242 };

static const char user[] = "{\"distinct_id\": \"user-1\", \"custom_properties\": {\"plan\": \"premium\","
    " \"country\": \"FR\", \"age\": 42, \"version\": \"2.10.1\", \"beta\": true}}";

static mpflags_client *client;
static mpflags_context *context;
static _Atomic bool swapping = true;

struct count {
    uint64_t rounds, right, allocations, frees;
};

static bool evaluate(void)
{
    return mpflags_client_get_boolean(client, MPFLAGS_S("eq"), context, 0)
           && mpflags_client_get_boolean(client, MPFLAGS_S("and5"), context, 0);
}

/* Evaluates for at least `times` rounds, and as long as the definitions are swapped. */
static void run(struct count *count, uint64_t times, const _Atomic bool *on)
{
    uint64_t allocations = thread_allocations, frees = thread_frees;
    while (count->rounds < times || *on) {
        count->rounds++;
        count->right += evaluate();
    }
    count->allocations = thread_allocations - allocations;
    count->frees = thread_frees - frees;
}

static int report(const struct count *count)
{
    printf("%llu rounds, %llu allocations, %llu frees\n", (unsigned long long)count->rounds,
           (unsigned long long)count->allocations, (unsigned long long)count->frees);
    return count->right == count->rounds && count->allocations == 0 && count->frees == 0 ? 0 : 1;
}

static void mark(const char *what)
{
    if (write(MARK, what, strlen(what)) != -1) abort();
}

static void *evaluator(void *count)
{
    /* A thread's first evaluation allocates what the thread keeps. */
    evaluate();
    mark("begin");
    run(count, TIMES, &swapping);
    mark("end");
    return NULL;
}

static int swapped(void)
{
    pthread_t threads[THREADS];
    struct count counts[THREADS] = {{0}};
    int swaps = 0, status = 0;
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, evaluator, &counts[i]);
    mpflags_item *item = NULL;
    while (swaps < SWAPS && mpflags_client_next_item(client, 10000, &item, NULL) == MPFLAGS_OK) {
        swaps += mpflags_item_kind(item) == MPFLAGS_ITEM_CHANGE;
        mpflags_item_free(item);
    }
    swapping = false;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        status |= report(&counts[i]);
    }
    printf("%d swaps\n", swaps);
    return status || swaps < SWAPS;
}

int main(int argc, char **argv)
{
    static const _Atomic bool off = false;
    char config[600];
    if (argc != 3) return 2;
    bool alone = strcmp(argv[1], "alone") == 0;
    int length = snprintf(config, sizeof config, alone
        ? "{\"token\": \"t\", \"enable_polling\": false, \"definitions_path\": \"%s\"}"
        : "{\"token\": \"t\", \"polling_interval_ms\": 50, \"api_host\": \"%s\"}", argv[2]);
    if (mpflags_client_new(config, (size_t)length, &client, NULL) != MPFLAGS_OK
        || mpflags_context_new_json(user, sizeof user - 1, &context, NULL) != MPFLAGS_OK) {
        return 2;
    }
    int status = 0;
    if (alone) {
        struct count count = {0};
        evaluate();
        run(&count, TIMES, &off);
        status = report(&count);
    } else if (mpflags_client_start(client, NULL) != MPFLAGS_OK
               || mpflags_client_wait_ready(client, 10000, NULL) != MPFLAGS_OK) {
        status = 2;
    } else {
        status = swapped();
    }
    mpflags_context_free(context);
    mpflags_client_free(client);
    return status;
}
