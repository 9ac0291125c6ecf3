/* Times evaluations while events are delivered slowly, or not at all.

       outages DIRECTORY SEGMENT_MS ROUNDS QUIET_URL SLOW_URL HUNG_URL

   Four clients report exposures: to a healthy server, a slow one, and one that never responds; and `full` to the last one as
   well, with a queue of 1,000 that soon is full. In each round every client has a segment, in rotating order: a million
   evaluations per second, of which one in twenty is for a new user and the others are repeats. So p50 is a repeat, and p99 a
   first exposure. Before the next segment, whatever can be delivered is.

   Prints a line for each segment, `KIND EVALUATIONS P50 P99 P999 MAX`, in nanoseconds. */

#include "histogram.h"
#include "users.h"

enum { KINDS = 4, NEW = 20, KNOWN = 16 };

static const char *const NAMES[KINDS] = {"quiet", "slow", "hung", "full"};

static volatile uint64_t sink;

static void segment(const char *name, const mpflags_client *client, mpflags_context **users, size_t *next, uint64_t count, double ns) {
    static uint32_t histogram[BUCKETS];
    memset(histogram, 0, sizeof histogram);
    uint64_t sum = 0, worst = 0;
    double pace = 1000.0 / ns, due = (double)ticks();
    for (uint64_t i = 0; i < count; i++) {
        mpflags_context *user = i % NEW == 0 ? users[(*next)++] : users[i % KNOWN];
        uint64_t before = ticks();
        sum += (uint64_t)shows(client, user);
        uint64_t took = ticks() - before;
        histogram[bucket_of(took)]++;
        worst = took > worst ? took : worst;
        /* After a slow evaluation, continue from now. */
        due = due + pace > (double)before ? due + pace : (double)before;
        while ((double)ticks() < due) {
        }
    }
    sink += sum;
    printf("%s %llu", name, (unsigned long long)count);
    static const double SHARES[] = {0.5, 0.99, 0.999};
    for (size_t i = 0; i < 3; i++) {
        printf(" %.1f", at(histogram, count, SHARES[i]) * ns);
    }
    printf(" %.0f\n", (double)worst * ns);
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fail("usage: outages DIRECTORY SEGMENT_MS ROUNDS QUIET_URL SLOW_URL HUNG_URL");
    }
    uint64_t count = strtoull(argv[2], NULL, 10) * 1000, rounds = strtoull(argv[3], NULL, 10);
    mpflags_client *clients[KINDS];
    mpflags_error *error = NULL;
    for (size_t i = 0; i < KINDS; i++) {
        char config[8192];
        int len = snprintf(config, sizeof config,
                           "{\"token\":\"bench\",\"enable_polling\":false,\"definitions_path\":\"%s/definitions.json\",\"api_host\":\"%s\","
                           "\"event_queue_capacity\":%d,\"exposure_dedupe_capacity\":1000000,\"shutdown_timeout_ms\":100}",
                           argv[1], argv[i < 3 ? 4 + i : 6], i < 3 ? 1000000 : 1000);
        clients[i] = new_client(config, (size_t)len);
        check(mpflags_client_start(clients[i], &error), &error);
    }
    mpflags_context **users = new_users(argv[1], KNOWN + rounds * (count / NEW + 1));
    size_t next[KINDS];
    for (size_t i = 0; i < KINDS; i++) {
        next[i] = KNOWN;
        for (size_t known = 0; known < KNOWN; known++) {
            sink += (uint64_t)shows(clients[i], users[known]);
        }
    }
    double ns = tick_ns();
    for (uint64_t round = 0; round < rounds; round++) {
        for (size_t turn = 0; turn < KINDS; turn++) {
            size_t i = (round + turn) % KINDS;
            segment(NAMES[i], clients[i], users, &next[i], count, ns);
            if (i < 2) {
                uint64_t undelivered = 0;
                check(mpflags_client_flush(clients[i], 10000, &undelivered, &error), &error);
                if (undelivered != 0) {
                    fail("events were not delivered");
                }
            }
        }
    }
    for (size_t i = 0; i < KINDS; i++) {
        mpflags_client_free(clients[i]);
    }
    return 0;
}
