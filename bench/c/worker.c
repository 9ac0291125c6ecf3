/* Times evaluations on demand, so that bench/run.py can interleave this process with others.

       worker DIRECTORY

   For each line of standard input, `CASE MILLISECONDS THREADS`, prints `OPERATIONS WALL_NS CPU_NS`. These are sums over the
   threads, so that WALL_NS / OPERATIONS is the time of one evaluation in one thread. */

#include <pthread.h>

#include "cases.h"

typedef struct {
    const workload *w;
    case_fn run;
    uint64_t milliseconds;
    pthread_barrier_t *ready;
    uint64_t operations, wall, cpu;
} job;

static volatile uint64_t sink;

/* In batches of about 50 microseconds, so that reading the clock costs nothing. Each thread has its own clock. */
static void *run(void *argument) {
    job *j = argument;
    uint64_t batch = 1;
    for (;;) {
        uint64_t before = wall_ns();
        sink += j->run(j->w, batch);
        if (wall_ns() - before > 50000) {
            break;
        }
        batch *= 2;
    }
    pthread_barrier_wait(j->ready);
    uint64_t wall = wall_ns(), cpu = cpu_ns(), now = wall, end = wall + j->milliseconds * 1000000;
    while (now < end) {
        sink += j->run(j->w, batch);
        j->operations += batch;
        now = wall_ns();
    }
    j->wall = now - wall;
    j->cpu = cpu_ns() - cpu;
    return NULL;
}

/* Times all of mpflags_client_new, without freeing. */
static job load(text config, uint64_t milliseconds) {
    job sum = {0};
    while (sum.wall < milliseconds * 1000000) {
        uint64_t wall = wall_ns(), cpu = cpu_ns();
        mpflags_client *client = new_client(config.ptr, config.len);
        sum.wall += wall_ns() - wall;
        sum.cpu += cpu_ns() - cpu;
        sum.operations++;
        mpflags_client_free(client);
    }
    return sum;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fail("usage: worker DIRECTORY");
    }
    workload w = load_workload(argv[1]);
    text config = read_workload(argv[1], "config.json");
    char line[256], name[64];
    unsigned milliseconds, threads;
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "%63s %u %u", name, &milliseconds, &threads) != 3 || threads < 1 || threads > 64) {
            fail("expected a line CASE MILLISECONDS THREADS");
        }
        job total = {0};
        if (strcmp(name, "load") == 0) {
            total = load(config, milliseconds);
        } else {
            job jobs[64];
            pthread_t ids[64];
            pthread_barrier_t ready;
            case_fn timed = find_case(name);
            if (timed == NULL) {
                fail(name);
            }
            pthread_barrier_init(&ready, NULL, threads);
            for (unsigned i = 0; i < threads; i++) {
                jobs[i] = (job){.w = &w, .run = timed, .milliseconds = milliseconds, .ready = &ready};
                if (i > 0 && pthread_create(&ids[i], NULL, run, &jobs[i]) != 0) {
                    fail("cannot start a thread");
                }
            }
            run(&jobs[0]);
            for (unsigned i = 0; i < threads; i++) {
                if (i > 0) {
                    pthread_join(ids[i], NULL);
                }
                total.operations += jobs[i].operations;
                total.wall += jobs[i].wall;
                total.cpu += jobs[i].cpu;
            }
            pthread_barrier_destroy(&ready);
        }
        printf("%llu %llu %llu\n", (unsigned long long)total.operations, (unsigned long long)total.wall,
               (unsigned long long)total.cpu);
        fflush(stdout);
    }
    return 0;
}
