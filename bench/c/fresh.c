/* Loads definitions as the first thing in a process, and prints the time and memory it took.

       fresh inline CONFIG_FILE        definitions in the configuration
       fresh path DEFINITIONS_FILE     `definitions_path`
       fresh http URL                  fetched, with polling on

   Prints one line, `WALL_NS CPU_NS RSS_KB HWM_KB TRIMMED_RSS_KB`: the wall time and processor time of loading, all threads
   included, and memory. Compared with a run without flags, the difference is the cost of the flags, because code and threads
   are the same. */

#include <malloc.h>
#include <unistd.h>

#include "bench.h"

/* A field of /proc/self/status, read without allocating. */
static long status_kb(const char *status, const char *field) {
    const char *at = strstr(status, field);
    return at == NULL ? -1 : strtol(at + strlen(field), NULL, 10);
}

static void read_status(char *buffer, size_t size) {
    FILE *stream = fopen("/proc/self/status", "r");
    if (stream == NULL) {
        fail("/proc/self/status");
    }
    buffer[fread(buffer, 1, size - 1, stream)] = '\0';
    fclose(stream);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fail("usage: fresh inline|path|http ARGUMENT");
    }
    static char buffer[8192], status[8192], trimmed[8192];
    text config = {buffer, 0};
    int fetches = strcmp(argv[1], "http") == 0;
    if (strcmp(argv[1], "inline") == 0) {
        config = read_file(argv[2]);
    } else {
        const char *form = fetches ? "{\"token\":\"bench\",\"api_host\":\"%s\",\"polling_interval_ms\":86400000}"
                                   : "{\"token\":\"bench\",\"enable_polling\":false,\"definitions_path\":\"%s\"}";
        config.len = (size_t)snprintf(buffer, sizeof buffer, form, argv[2]);
    }
    uint64_t wall = wall_ns(), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    mpflags_client *client = new_client(config.ptr, config.len);
    if (fetches) {
        mpflags_error *error = NULL;
        check(mpflags_client_start(client, &error), &error);
        check(mpflags_client_wait_ready(client, 10000, &error), &error);
    }
    wall = wall_ns() - wall;
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (fetches) {
        /* The client is ready before the poller has freed the response. */
        usleep(100000);
    }
    read_status(status, sizeof status);
    malloc_trim(0);
    read_status(trimmed, sizeof trimmed);
    printf("%llu %llu %ld %ld %ld\n", (unsigned long long)wall, (unsigned long long)cpu, status_kb(status, "VmRSS:"),
           status_kb(status, "VmHWM:"), status_kb(trimmed, "VmRSS:"));
    fflush(stdout);
    mpflags_client_free(client);
    return 0;
}
