/* Exposures and forks: the parent sends its queue, each child its own, and nothing is sent twice.
 * usage: fork_events URL CHILDREN USERS */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpflags.h"

static void fail(const char *who, const char *what)
{
    fprintf(stderr, "%s: %s\n", who, what);
    _exit(1);
}

/* Evaluates three times for each of `users` users of `who`. */
static void expose(const mpflags_client *client, const char *who, int users)
{
    for (int round = 0; round < 3; round++) {
        for (int user = 0; user < users; user++) {
            char json[96];
            snprintf(json, sizeof json, "{\"distinct_id\": \"%s-%d\"}", who, user);
            mpflags_context *context = NULL;
            if (mpflags_context_new_json(json, strlen(json), &context, NULL) != MPFLAGS_OK) fail(who, "context");
            if (!mpflags_client_get_boolean(client, MPFLAGS_S("f"), context, 0)) fail(who, "evaluation");
            mpflags_context_free(context);
        }
    }
}

static void deliver(mpflags_client *client, const char *who)
{
    uint64_t left = 1;
    if (mpflags_client_flush(client, 10000, &left, NULL) != MPFLAGS_OK || left != 0) fail(who, "flush");
    if (mpflags_client_shutdown(client, 10000, &left, NULL) != MPFLAGS_OK || left != 0) fail(who, "shutdown");
    mpflags_client_free(client);
}

static void *first_call(void *client)
{
    mpflags_client_state(client);
    return NULL;
}

/* Another thread makes the child's first call, which starts its threads; this one needs them at the same time. */
static void deliver_beside_the_first_call(mpflags_client *client, const char *who)
{
    pthread_t other;
    uint64_t left = 1;
    if (pthread_create(&other, NULL, first_call, client) != 0) fail(who, "thread");
    expose(client, who, 1);
    if (mpflags_client_flush(client, 10000, &left, NULL) != MPFLAGS_OK || left != 0) fail(who, "flush beside the first call");
    pthread_join(other, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    int children = atoi(argv[2]), users = atoi(argv[3]);
    char config[512];
    snprintf(config, sizeof config,
             "{\"token\": \"t\", \"api_host\": \"%s\", \"event_batch_size\": 7, \"event_flush_interval_ms\": 20,"
             " \"polling_interval_ms\": 50}", argv[1]);
    mpflags_client *client = NULL;
    mpflags_error *error = NULL;
    if (mpflags_client_new(config, strlen(config), &client, &error) != MPFLAGS_OK
        || mpflags_client_start(client, &error) != MPFLAGS_OK
        || mpflags_client_wait_ready(client, 10000, &error) != MPFLAGS_OK) {
        fail("parent", mpflags_error_message(error).ptr);
    }
    /* When the children start, some of these are queued, some are being sent, and some are delivered. */
    expose(client, "parent-early", users);
    for (int i = 0; i < children; i++) {
        char who[32];
        snprintf(who, sizeof who, "child-%d", i);
        pid_t pid = fork();
        if (pid < 0) fail("parent", "fork");
        if (pid == 0) {
            /* The last but one exits at once; the last one does so without atexit handlers. */
            if (i == children - 1) _exit(0);
            if (i == children - 2) exit(0);
            deliver_beside_the_first_call(client, who);
            expose(client, who, users);
            deliver(client, who);
            _exit(0);
        }
        expose(client, who + 1, 1); /* fork while sending */
    }
    expose(client, "parent-late", users);
    for (int i = 0; i < children; i++) {
        int status = 0;
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("parent", "a child failed");
    }
    deliver(client, "parent");
    return 0;
}
