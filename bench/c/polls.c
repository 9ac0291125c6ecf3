/* Polls, and for each line of standard input prints what was allocated so far.

       polls URL INTERVAL_MS

   Prints `CALLS BYTES LARGEST`. LARGEST, the largest allocation, is reset each time. bench/run.py waits for polls between two
   lines, and takes differences. */

#include "bench.h"

#include "allocations.h"

int main(int argc, char **argv) {
    if (argc != 3) {
        fail("usage: polls URL INTERVAL_MS");
    }
    char config[1024], line[16];
    int len = snprintf(config, sizeof config, "{\"token\":\"bench\",\"api_host\":\"%s\",\"polling_interval_ms\":%s}",
                       argv[1], argv[2]);
    mpflags_client *client = new_client(config, (size_t)len);
    mpflags_error *error = NULL;
    check(mpflags_client_start(client, &error), &error);
    check(mpflags_client_wait_ready(client, 10000, &error), &error);
    while (fgets(line, sizeof line, stdin) != NULL) {
        printf("%llu %llu %llu\n", (unsigned long long)allocated_calls, (unsigned long long)allocated_bytes,
               (unsigned long long)atomic_exchange(&allocated_largest, 0));
        fflush(stdout);
    }
    mpflags_client_free(client);
    return 0;
}
