/* Prints a line for every item of a client, pulled or from a callback, until it reads a line from standard input.
 *
 *   items pull|callback URL
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpflags.h"

static mpflags_client *client;
static mpflags_context *context;
static char user_data[] = "user data";

static void fail(const char *what, mpflags_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error ? mpflags_error_message(error).ptr : "");
    _Exit(1);
}

static void print(const mpflags_item *item)
{
    mpflags_str message = mpflags_item_message(item);
    switch (mpflags_item_kind(item)) {
    case MPFLAGS_ITEM_LOG: printf("log %d %s\n", (int)mpflags_item_level(item), message.ptr); break;
    case MPFLAGS_ITEM_STATE:
        printf("state %d %s\n", (int)mpflags_item_state(item), message.len ? message.ptr : "-");
        break;
    case MPFLAGS_ITEM_CHANGE:
        printf("change");
        for (size_t i = 0; i < mpflags_item_key_count(item); i++) printf(" %s", mpflags_item_key(item, i).ptr);
        /* The new definitions are in use before the change is reported. */
        printf(", page size %d\n", (int)mpflags_client_get_int64(client, MPFLAGS_S("search-page-size"), context, -1));
        break;
    default: fail("an item of an unknown kind", NULL);
    }
    fflush(stdout);
}

/* Prints the signals that each thread of the client blocks. */
static void signals(void)
{
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        char path[300], line[256], name[64] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = fopen(path, "r");
        while (status != NULL && fgets(line, sizeof line, status)) {
            if (strncmp(line, "Name:", 5) == 0) snprintf(name, sizeof name, "%.50s", line + 6);
            if (strncmp(line, "SigBlk:", 7) == 0 && strncmp(name, "mpflags-", 8) == 0)
                printf("signals %.*s %s", (int)strcspn(name, "\n"), name, line + 8);
        }
        if (status != NULL) fclose(status);
    }
    if (tasks != NULL) closedir(tasks);
    fflush(stdout);
}

static void callback(const mpflags_item *item, void *data)
{
    if (data != user_data) fail("the callback received other user data", NULL);
    /* A callback may call the library, also if the call fails. */
    mpflags_context *none = NULL;
    if (mpflags_client_state(client) == MPFLAGS_STATE_NONE
        || mpflags_context_new_json(MPFLAGS_S("[]"), &none, NULL) != MPFLAGS_INVALID_CONTEXT
        || mpflags_client_next_item(client, 0, NULL, NULL) != MPFLAGS_NULL_ARGUMENT) {
        fail("calls from the callback", NULL);
    }
    print(item);
}

static void drop(void *data)
{
    if (data != user_data) fail("drop received other user data", NULL);
    printf("dropped\n");
    fflush(stdout);
}

static void *pull(void *unused)
{
    (void)unused;
    mpflags_item *item = NULL;
    mpflags_error *error = NULL;
    mpflags_status status;
    while ((status = mpflags_client_next_item(client, 60000, &item, &error)) == MPFLAGS_OK) {
        print(item);
        mpflags_item_free(item);
    }
    if (status != MPFLAGS_CLOSED) fail("next_item", error);
    mpflags_error_free(error);
    printf("closed\n");
    fflush(stdout);
    return NULL;
}

int main(int argc, char **argv)
{
    char config[300];
    mpflags_error *error = NULL;
    pthread_t puller;
    if (argc != 3) return 2;
    bool pulls = strcmp(argv[1], "pull") == 0;
    int length = snprintf(config, sizeof config, "{\"token\": \"t\", \"api_host\": \"%s\", \"polling_interval_ms\": 50,"
                          " \"retry_base_ms\": 10}", argv[2]);
    if (mpflags_client_new(config, (size_t)length, &client, &error) != MPFLAGS_OK) fail("new", error);
    if (mpflags_context_new_json(MPFLAGS_S("{\"distinct_id\": 1}"), &context, &error) != MPFLAGS_OK) {
        fail("context", error);
    }
    if (pulls) {
        pthread_create(&puller, NULL, pull, NULL);
    } else if (mpflags_client_on_item(client, callback, user_data, drop, &error) != MPFLAGS_OK) {
        fail("on_item", error);
    }
    if (mpflags_client_start(client, &error) != MPFLAGS_OK) fail("start", error);
    if (mpflags_client_wait_ready(client, 10000, &error) != MPFLAGS_OK) fail("wait_ready", error);
    signals();
    getchar();
    if (mpflags_client_shutdown(client, 5000, NULL, &error) != MPFLAGS_OK) fail("shutdown", error);
    if (pulls) pthread_join(puller, NULL);
    printf("shut down\n");
    mpflags_context_free(context);
    mpflags_client_free(client);
    printf("end\n");
    return 0;
}
