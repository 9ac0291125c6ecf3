/* Makes every name look-up of a program hang: a library for LD_PRELOAD. */
#include <netdb.h>
#include <unistd.h>

/* Replaces the C library's: a name server that does not respond. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    (void)node; (void)service; (void)hints; (void)found;
    sleep(60);
    return EAI_AGAIN;
}
