/* Times evaluations while definitions are replaced.

       swaps URL DIRECTORY POLLING_INTERVAL_MS SEGMENT_MS SEGMENTS

   Two clients hold the same definitions. One polls URL, where bench/run.py changes the document after each poll; the other
   does not poll. The evaluating thread alternates between them: `swapped` evaluates definitions that are being replaced,
   `parsed` runs under the same load beside it. A third kind, `quiet`, runs first, before anything polls. Each evaluation is of
   a different one of the 1,000 flags, so that a new set is read completely, as on a server with many flags.

   Prints a line for each segment, `KIND EVALUATIONS P50 P99 P999 P9999 MAX`, in nanoseconds, and finally `allocator` with the
   calls of malloc and of free by the evaluating thread, which would show if it freed a set. */

#include "bench.h"

#include "allocations.h"
#include "histogram.h"

typedef struct {
    const char *ptr;
    size_t len;
} key;

static key keys[1000];
static size_t key_count;
static volatile uint64_t sink;

static void read_keys(text file) {
    for (char *line = strtok(file.ptr, "\n"); line != NULL && key_count < 1000; line = strtok(NULL, "\n")) {
        keys[key_count++] = (key){line, strlen(line)};
    }
}

/* By this thread, while it evaluated. */
static uint64_t allocations, frees;

static void segment(const char *kind, const mpflags_client *client, const mpflags_context *context, uint64_t ms, double ns) {
    static uint32_t histogram[BUCKETS];
    memset(histogram, 0, sizeof histogram);
    uint64_t total = 0, sum = 0, worst = 0, end = ticks() + (uint64_t)((double)ms * 1e6 / ns);
    size_t next = 0;
    uint64_t allocations_before = thread_allocations, frees_before = thread_frees;
    for (uint64_t before = ticks(); before < end;) {
        sum += mpflags_client_get_boolean(client, keys[next].ptr, keys[next].len, context, 0);
        uint64_t now = ticks(), took = now - before;
        histogram[bucket_of(took)]++;
        worst = took > worst ? took : worst;
        total++;
        next = next + 1 == key_count ? 0 : next + 1;
        before = now;
    }
    allocations += thread_allocations - allocations_before;
    frees += thread_frees - frees_before;
    sink += sum;
    printf("%s %llu", kind, (unsigned long long)total);
    static const double SHARES[] = {0.5, 0.99, 0.999, 0.9999};
    for (size_t i = 0; i < 4; i++) {
        printf(" %.0f", at(histogram, total, SHARES[i]) * ns);
    }
    printf(" %.0f\n", (double)worst * ns);
    fflush(stdout);
}

/* Excludes what happens once: the setup of a thread's first evaluation, and the log line about each flag that is not boolean. */
static void warm_up(const mpflags_client *client, const mpflags_context *context) {
    for (size_t i = 0; i < key_count; i++) {
        sink += mpflags_client_get_boolean(client, keys[i].ptr, keys[i].len, context, 0);
    }
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fail("usage: swaps URL DIRECTORY POLLING_INTERVAL_MS SEGMENT_MS SEGMENTS");
    }
    uint64_t ms = strtoull(argv[4], NULL, 10), segments = strtoull(argv[5], NULL, 10);
    char config[8192];
    int len = snprintf(config, sizeof config,
                       "{\"token\":\"bench\",\"enable_polling\":false,\"report_exposures\":false,\"definitions_path\":\"%s/definitions.json\"}", argv[2]);
    mpflags_client *still = new_client(config, (size_t)len);
    len = snprintf(config, sizeof config, "{\"token\":\"bench\",\"report_exposures\":false,\"api_host\":\"%s\",\"polling_interval_ms\":%s}",
                   argv[1], argv[3]);
    mpflags_client *polling = new_client(config, (size_t)len);
    mpflags_context *context = new_context(read_workload(argv[2], "context.json"));
    read_keys(read_workload(argv[2], "keys.txt"));
    double ns = tick_ns();
    printf("tick %f\n", ns);
    fflush(stdout);

    warm_up(still, context);
    for (uint64_t i = 0; i < segments; i++) {
        segment("quiet", still, context, ms / 2, ns);
    }
    mpflags_error *error = NULL;
    check(mpflags_client_start(polling, &error), &error);
    check(mpflags_client_wait_ready(polling, 10000, &error), &error);
    warm_up(polling, context);
    for (uint64_t i = 0; i < segments; i++) {
        segment("swapped", polling, context, ms, ns);
        segment("parsed", still, context, ms, ns);
    }
    printf("allocator %llu %llu\n", (unsigned long long)allocations, (unsigned long long)frees);
    mpflags_client_free(polling);
    mpflags_client_free(still);
    return 0;
}
