/* Ends a client whose name look-ups hang: prints the status of a shutdown with timeout 0, and how many milliseconds it and
 * the free take.
 */
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "mpflags.h"

static atomic_int lookups;

/* Replaces the C library's: a name server that does not respond. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    (void)node; (void)service; (void)hints; (void)found;
    atomic_fetch_add(&lookups, 1);
    sleep(30);
    return EAI_AGAIN;
}

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

int main(void)
{
    mpflags_client *client = NULL;
    if (mpflags_client_new(MPFLAGS_S("{\"token\": \"t\", \"api_host\": \"names.invalid\", \"proxy\": \"\"}"), &client, NULL)
            != MPFLAGS_OK
        || mpflags_client_start(client, NULL) != MPFLAGS_OK) {
        return 1;
    }
    while (atomic_load(&lookups) == 0) usleep(1000);
    long long start = now();
    mpflags_status status = mpflags_client_shutdown(client, 0, NULL, NULL);
    long long shut_down = now();
    mpflags_client_free(client);
    printf("%d %lld %lld\n", (int)status, shut_down - start, now() - shut_down);
    return 0;
}
