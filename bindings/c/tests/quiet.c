/* What an evaluation with a context handle does besides computing: nothing.
 *
 *   quiet allocations   counts malloc and free over 100,000 evaluations of each flag
 *   quiet trace         four threads evaluate between two system calls that strace finds, while a fifth swaps
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../bench/allocations.h"
#include "mpflags.h"

enum { TIMES = 100000, THREADS = 4, MARK = -4242 };

#define FLAG(key, rule) "{\"key\": \"" key "\", \"context\": \"distinct_id\", \"ruleset\": {" \
    "\"variants\": [{\"key\": \"on\", \"value\": true, \"split\": 1}]," \
    "\"rollout\": [{\"rollout_percentage\": 1, \"runtime_evaluation_rule\": " rule "}]}}"

/* `report_exposures` is on: a repeat within the window is as quiet. */
static const char config[] = "{\"token\": \"t\", \"enable_polling\": false, \"definitions\": {\"flags\": ["
    FLAG("eq", "{\"==\": [{\"var\": \"plan\"}, \"premium\"]}") ","
    FLAG("and5", "{\"and\": [{\"==\": [{\"var\": \"plan\"}, \"premium\"]},"
        "{\"in\": [{\"var\": \"country\"}, [\"DE\", \"FR\", \"IT\"]]}, {\">\": [{\"var\": \"age\"}, 18]},"
        "{\"semver_compare\": [{\"var\": \"version\"}, \">=\", \"2.0.0\"]}, {\"==\": [{\"var\": \"beta\"}, true]}]}")
    "]}}";
static const char user[] = "{\"distinct_id\": \"user-1\", \"custom_properties\": {\"plan\": \"premium\","
    " \"country\": \"FR\", \"age\": 42, \"version\": \"2.10.1\", \"beta\": true}}";

static mpflags_client *client;
static mpflags_context *context;
static _Atomic int evaluating = THREADS;

/* How many of `times` rounds came out as meant. */
static int evaluate(int times)
{
    int right = 0;
    for (int i = 0; i < times; i++) {
        right += mpflags_client_get_boolean(client, MPFLAGS_S("eq"), context, 0)
                 && mpflags_client_get_boolean(client, MPFLAGS_S("and5"), context, 0);
    }
    return right;
}

static void mark(const char *what)
{
    if (write(MARK, what, strlen(what)) != -1) abort();
}

static void *evaluator(void *right)
{
    /* A thread's first evaluation makes what the thread keeps. */
    *(int *)right = evaluate(1);
    mark("begin");
    *(int *)right += evaluate(TIMES);
    mark("end");
    evaluating--;
    return NULL;
}

static void *writer(void *swaps)
{
    while (evaluating > 0) {
        if (mpflags_client_set_override(client, MPFLAGS_S("other"), MPFLAGS_S("[1, 2, 3]"), NULL) == MPFLAGS_OK)
            ++*(int *)swaps;
    }
    return NULL;
}

static int trace(void)
{
    pthread_t threads[THREADS + 1];
    int right[THREADS] = {0}, swaps = 0;
    pthread_create(&threads[THREADS], NULL, writer, &swaps);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, evaluator, &right[i]);
    int all = 1;
    for (int i = 0; i <= THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) all &= right[i] == TIMES + 1;
    printf("%d swaps\n", swaps);
    return all && swaps > 100 ? 0 : 1;
}

static int allocations(void)
{
    int right = evaluate(1);
    uint64_t allocated = thread_allocations, freed = thread_frees;
    right += evaluate(TIMES);
    allocated = thread_allocations - allocated;
    freed = thread_frees - freed;
    printf("%d evaluations of each flag: %llu allocations, %llu frees\n", right, (unsigned long long)allocated,
           (unsigned long long)freed);
    return right == TIMES + 1 && allocated == 0 && freed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc != 2 || mpflags_client_new(config, sizeof config - 1, &client, NULL) != MPFLAGS_OK
        || mpflags_context_new_json(user, sizeof user - 1, &context, NULL) != MPFLAGS_OK) {
        return 2;
    }
    int status = strcmp(argv[1], "trace") == 0 ? trace() : allocations();
    mpflags_context_free(context);
    mpflags_client_free(client);
    return status;
}
