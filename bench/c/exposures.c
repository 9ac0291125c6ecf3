/* The cost of an exposure for the evaluating thread.

       exposures DIRECTORY USERS [URL]

   Evaluates blocks of users: first without exposures, so that the next two find the same in the cache; then without and with
   exposures, in alternating order; then with exposures again, which are repeats. With a URL, events are sent there meanwhile;
   without one they stay in the queue.

   Prints a line for each block, `WITHOUT_NS FIRST_NS REPEAT_NS`: the wall time of one evaluation. */

#include "users.h"

enum { BLOCK = 250 };

static volatile uint64_t sink;

static double evaluate(const mpflags_client *client, mpflags_context **users) {
    uint64_t sum = 0, wall = wall_ns();
    for (size_t i = 0; i < BLOCK; i++) {
        sum += (uint64_t)shows(client, users[i]);
    }
    wall = wall_ns() - wall;
    sink += sum;
    return (double)wall / BLOCK;
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 4) {
        fail("usage: exposures DIRECTORY USERS [URL]");
    }
    size_t count = strtoull(argv[2], NULL, 10);
    char config[8192];
    const char *form = "{\"token\":\"bench\",\"enable_polling\":false,\"definitions_path\":\"%s/definitions-10.json\","
                       "\"report_exposures\":%s,\"event_queue_capacity\":10000000,\"api_host\":\"%s\"}";
    const char *url = argc == 4 ? argv[3] : "http://127.0.0.1:9";
    int len = snprintf(config, sizeof config, form, argv[1], "false", url);
    mpflags_client *without = new_client(config, (size_t)len);
    len = snprintf(config, sizeof config, form, argv[1], "true", url);
    mpflags_client *with = new_client(config, (size_t)len);
    mpflags_context **users = new_users(argv[1], count);
    mpflags_error *error = NULL;
    if (argc == 4) {
        check(mpflags_client_start(with, &error), &error);
    }
    for (size_t i = 0; i + BLOCK <= count; i += BLOCK) {
        double plain = 0, first = 0;
        evaluate(without, users + i);
        for (size_t turn = 0; turn < 2; turn++) {
            if ((i / BLOCK + turn) % 2 == 0) {
                plain = evaluate(without, users + i);
            } else {
                first = evaluate(with, users + i);
            }
        }
        printf("%.1f %.1f %.1f\n", plain, first, evaluate(with, users + i));
    }
    fflush(stdout);
    if (argc == 4) {
        uint64_t undelivered = 0;
        check(mpflags_client_flush(with, 30000, &undelivered, &error), &error);
        if (undelivered != 0) {
            fail("events were not delivered");
        }
    }
    mpflags_text *statistics = NULL;
    check(mpflags_client_statistics(with, &statistics, &error), &error);
    mpflags_str told = mpflags_text_view(statistics);
    printf("%.*s\n", (int)told.len, told.ptr);
    mpflags_text_free(statistics);
    mpflags_client_free(with);
    return 0;
}
