/* The cost of one workload, for bench/growth.py.

       growth DEFINITIONS_FILE CONTEXT_FILE KEY THREADS MILLISECONDS

   Loads the definitions, and evaluates the flag KEY for the context, as a handle and as JSON in the same call, each for so long
   and in so many threads at once. Prints `LOAD_NS LOAD_KB HANDLE_NS JSON_NS HANDLE_RATE`: the processor time of loading, the
   resident memory that it added, the processor time of one evaluation, and evaluations per second in all threads. */

#include <malloc.h>
#include <pthread.h>

#include "bench.h"

typedef struct {
    const mpflags_client *client;
    const mpflags_context *context;
    text json;
    const char *key;
    size_t key_len;
    /* Whether the context is passed as JSON. */
    int encoded;
    uint64_t milliseconds;
    pthread_barrier_t *ready;
    uint64_t operations, wall, cpu;
} job;

enum { BATCH = 64 };

static volatile uint64_t sink;

static long resident_kb(void) {
    long pages = 0;
    FILE *stream = fopen("/proc/self/statm", "r");
    if (stream == NULL || fscanf(stream, "%*d %ld", &pages) != 1) {
        fail("/proc/self/statm");
    }
    fclose(stream);
    return pages * 4;
}

static uint64_t evaluate(const job *j) {
    if (!j->encoded) {
        return (uint64_t)mpflags_client_get_boolean(j->client, j->key, j->key_len, j->context, 0);
    }
    mpflags_evaluation *evaluation = NULL;
    mpflags_client_evaluate_encoded(j->client, j->key, j->key_len, j->json.ptr, j->json.len, MPFLAGS_ENCODING_JSON,
                                    MPFLAGS_TYPE_BOOLEAN, 0, 0, &evaluation, NULL);
    uint64_t value = (uint64_t)mpflags_evaluation_boolean(evaluation);
    mpflags_evaluation_free(evaluation);
    return value;
}

static void *run(void *argument) {
    job *j = argument;
    pthread_barrier_wait(j->ready);
    uint64_t wall = wall_ns(), cpu = cpu_ns(), now = wall, end = wall + j->milliseconds * 1000000, sum = 0;
    while (now < end) {
        for (int i = 0; i < BATCH; i++) {
            sum += evaluate(j);
        }
        j->operations += BATCH;
        now = wall_ns();
    }
    sink += sum;
    j->wall = now - wall;
    j->cpu = cpu_ns() - cpu;
    return NULL;
}

/* The processor time of one evaluation, and the rate of all threads together. */
static double run_all(job j, unsigned threads, double *rate) {
    pthread_t handles[256];
    job jobs[256];
    pthread_barrier_t ready;
    pthread_barrier_init(&ready, NULL, threads);
    j.ready = &ready;
    uint64_t operations = 0, cpu = 0, wall = 0;
    for (unsigned i = 0; i < threads; i++) {
        jobs[i] = j;
        if (pthread_create(&handles[i], NULL, run, &jobs[i]) != 0) {
            fail("pthread_create");
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(handles[i], NULL);
        operations += jobs[i].operations;
        cpu += jobs[i].cpu;
        wall = jobs[i].wall > wall ? jobs[i].wall : wall;
    }
    pthread_barrier_destroy(&ready);
    *rate = (double)operations * 1e9 / (double)wall;
    return (double)cpu / (double)operations;
}

int main(int argc, char **argv) {
    unsigned threads = argc == 6 ? (unsigned)atoi(argv[4]) : 0;
    if (threads < 1 || threads > 256) {
        fail("usage: growth DEFINITIONS_FILE CONTEXT_FILE KEY THREADS MILLISECONDS");
    }
    char config[8192];
    int len = snprintf(config, sizeof config,
                       "{\"token\":\"bench\",\"enable_polling\":false,\"report_exposures\":false,\"definitions_path\":\"%s\"}", argv[1]);
    text json = read_file(argv[2]);
    /* What a first client sets up is not part of the flags. */
    const char *first = "{\"token\":\"bench\",\"enable_polling\":false,\"definitions\":{\"flags\":[]}}";
    mpflags_client_free(new_client(first, strlen(first)));
    long before = resident_kb();
    uint64_t load = cpu_ns();
    mpflags_client *client = new_client(config, (size_t)len);
    load = cpu_ns() - load;
    malloc_trim(0);
    long loaded = resident_kb() - before;
    job j = {.client = client, .context = new_context(json), .json = json, .key = argv[3], .key_len = strlen(argv[3]),
             .milliseconds = strtoull(argv[5], NULL, 10)};
    double rate = 0, ignored = 0;
    double handle = run_all(j, threads, &rate);
    j.encoded = 1;
    double encoded = run_all(j, threads, &ignored);
    printf("%llu %ld %.1f %.1f %.0f\n", (unsigned long long)load, loaded > 0 ? loaded : 0, handle, encoded, rate);
    mpflags_client_free(client);
    return 0;
}
