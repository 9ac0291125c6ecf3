/* Exits with clients alive: one that polls, one with a callback, one with a thread in mpflags_client_next_item.
 * usage: exit_alive API_HOST */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpflags.h"

static void take(const mpflags_item *item, void *user_data)
{
    (void)item;
    (void)user_data;
}

static mpflags_client *started(const char *host, int with_callback)
{
    char config[256];
    int length = snprintf(config, sizeof config, "{\"token\": \"t\", \"api_host\": \"%s\", \"polling_interval_ms\": 50}", host);
    mpflags_client *client = NULL;
    if (mpflags_client_new(config, (size_t)length, &client, NULL) != MPFLAGS_OK) exit(2);
    if (with_callback && mpflags_client_on_item(client, take, NULL, NULL, NULL) != MPFLAGS_OK) exit(2);
    if (mpflags_client_start(client, NULL) != MPFLAGS_OK) exit(2);
    return client;
}

static mpflags_client *clients[3];

static void *wait_for_items(void *client)
{
    mpflags_item *item = NULL;
    while (mpflags_client_next_item(client, 60000, &item, NULL) == MPFLAGS_OK) mpflags_item_free(item);
    return NULL;
}

/* Frees one client in an atexit handler, which the header allows. */
static void at_exit(void)
{
    mpflags_client_free(clients[0]);
    puts("freed in atexit");
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    for (int i = 0; i < 3; i++) clients[i] = started(argv[1], i == 1);
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_for_items, clients[2]) != 0) return 2;
    atexit(at_exit);
    exit(0);
}
