/* Many threads that evaluate remotely at the same time.

       remote DIRECTORY URL THREADS EVALUATIONS RUNS

   Prints a line for each run, `WALL_NS CPU_NS`. The first run opens the connections, and the others reuse them. */

#include <pthread.h>

#include "users.h"

static mpflags_client *client;
static mpflags_context **users;
static pthread_barrier_t ready;
static unsigned evaluations;

static void *run(void *user) {
    pthread_barrier_wait(&ready);
    for (unsigned i = 0; i < evaluations; i++) {
        mpflags_evaluation *evaluation = NULL;
        mpflags_error *error = NULL;
        check(mpflags_client_evaluate(client, MPFLAGS_S("bench-eq"), user, MPFLAGS_TYPE_BOOLEAN, 0, 0, &evaluation, &error), &error);
        if (!mpflags_evaluation_has_value(evaluation)) {
            fail("an evaluation returned an unexpected result");
        }
        mpflags_evaluation_free(evaluation);
    }
    pthread_barrier_wait(&ready);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fail("usage: remote DIRECTORY URL THREADS EVALUATIONS RUNS");
    }
    unsigned threads = (unsigned)strtoul(argv[3], NULL, 10), runs = (unsigned)strtoul(argv[5], NULL, 10);
    evaluations = (unsigned)strtoul(argv[4], NULL, 10);
    char config[1024];
    int len = snprintf(config, sizeof config, "{\"token\":\"bench\",\"mode\":\"remote\",\"report_exposures\":false,\"api_host\":\"%s\"}", argv[2]);
    client = new_client(config, (size_t)len);
    mpflags_error *error = NULL;
    check(mpflags_client_start(client, &error), &error);
    users = new_users(argv[1], threads);
    for (unsigned turn = 0; turn < runs; turn++) {
        pthread_t ids[256];
        if (threads < 1 || threads > 256) {
            fail("1 to 256 threads");
        }
        pthread_barrier_init(&ready, NULL, threads + 1);
        for (unsigned i = 0; i < threads; i++) {
            if (pthread_create(&ids[i], NULL, run, users[i]) != 0) {
                fail("cannot start a thread");
            }
        }
        uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), wall = wall_ns();
        pthread_barrier_wait(&ready);
        pthread_barrier_wait(&ready);
        wall = wall_ns() - wall;
        cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        for (unsigned i = 0; i < threads; i++) {
            pthread_join(ids[i], NULL);
        }
        pthread_barrier_destroy(&ready);
        printf("%llu %llu\n", (unsigned long long)wall, (unsigned long long)cpu);
        fflush(stdout);
    }
    mpflags_client_free(client);
    return 0;
}
