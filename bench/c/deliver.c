/* Delivers exposures.

       deliver DIRECTORY URL CA_FILE

   Each line of standard input is a command, and prints a line. `put COUNT` queues that many exposures, and prints COUNT.
   `flush MILLISECONDS` sends them to URL, and prints `WALL_NS CPU_NS UNDELIVERED`, with the processor time of all threads.
   `rounds COUNT BATCH` queues BATCH exposures and flushes until COUNT are sent, and prints the same.
   A retry waits for ten minutes or the next flush, so that bench/run.py can fill the queue after a failed request.
   CA_FILE is "" without TLS. */

#include "users.h"

enum { USERS = 5000 };

int main(int argc, char **argv) {
    if (argc != 4) {
        fail("usage: deliver DIRECTORY URL CA_FILE");
    }
    char config[8192], ca_file[4096] = "", line[64];
    unsigned batch;
    if (argv[3][0] != '\0') {
        snprintf(ca_file, sizeof ca_file, ",\"ca_file\":\"%s\"", argv[3]);
    }
    /* Without deduplication, every evaluation reports an exposure. */
    const char *form = "{\"token\":\"bench\",\"enable_polling\":false,\"definitions_path\":\"%s/definitions-10.json\",\"api_host\":\"%s\","
                       "\"exposure_dedupe_capacity\":0,\"event_queue_capacity\":2000000,\"event_batch_size\":2000,"
                       "\"event_flush_interval_ms\":3600000,\"event_retry_base_ms\":600000,\"event_retry_max_ms\":3600000%s}";
    int len = snprintf(config, sizeof config, form, argv[1], argv[2], ca_file);
    mpflags_client *client = new_client(config, (size_t)len);
    mpflags_context **users = new_users(argv[1], USERS);
    mpflags_error *error = NULL;
    check(mpflags_client_start(client, &error), &error);
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned count;
        if (sscanf(line, "put %u", &count) == 1) {
            for (unsigned i = 0; i < count; i++) {
                shows(client, users[i % USERS]);
            }
            printf("%u\n", count);
        } else if (sscanf(line, "rounds %u %u", &count, &batch) == 2) {
            uint64_t undelivered = 0, wall = wall_ns(), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
            for (unsigned i = 0; i < count && undelivered == 0; i++) {
                shows(client, users[i % USERS]);
                if ((i + 1) % batch == 0) {
                    check(mpflags_client_flush(client, 10000, &undelivered, &error), &error);
                }
            }
            wall = wall_ns() - wall;
            cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
            printf("%llu %llu %llu\n", (unsigned long long)wall, (unsigned long long)cpu, (unsigned long long)undelivered);
        } else if (sscanf(line, "flush %u", &count) == 1) {
            uint64_t undelivered = 0, wall = wall_ns(), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
            check(mpflags_client_flush(client, count, &undelivered, &error), &error);
            wall = wall_ns() - wall;
            cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
            printf("%llu %llu %llu\n", (unsigned long long)wall, (unsigned long long)cpu, (unsigned long long)undelivered);
        } else {
            fail("expected a line `put COUNT`, `flush MILLISECONDS` or `rounds COUNT BATCH`");
        }
        fflush(stdout);
    }
    mpflags_client_free(client);
    return 0;
}
