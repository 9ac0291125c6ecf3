/* A program as a function service runs it: it does nothing between calls, and may be frozen then. Each line of standard
 * input is a call for a user, `refresh USER` or `plain USER`.
 *
 *   frozen URL
 */
#include <stdio.h>
#include <string.h>

#include "mpflags.h"

static mpflags_client *client;

/* As docs/operations.md recommends: fetch when a call begins, flush before it ends. */
static void call(const char *user, bool refreshes)
{
    char json[100];
    mpflags_context *context = NULL;
    mpflags_error *error = NULL;
    if (refreshes && mpflags_client_refresh(client, 5000, &error) != MPFLAGS_OK) {
        /* Use the definitions of the last call. */
        fprintf(stderr, "refresh: %s\n", mpflags_error_message(error).ptr);
        mpflags_error_free(error);
    }
    int length = snprintf(json, sizeof json, "{\"distinct_id\": \"%s\"}", user);
    mpflags_context_new_json(json, (size_t)length, &context, NULL);
    long long size = mpflags_client_get_int64(client, MPFLAGS_S("page-size"), context, -1);
    mpflags_context_free(context);
    uint64_t undelivered = 0;
    mpflags_client_flush(client, 5000, &undelivered, NULL);
    printf("page size %lld, %llu undelivered\n", size, (unsigned long long)undelivered);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char config[300], line[100], how[20], user[50];
    if (argc != 2) return 2;
    int length = snprintf(config, sizeof config, "{\"token\": \"t\", \"api_host\": \"%s\", \"enable_polling\": false}", argv[1]);
    if (mpflags_client_new(config, (size_t)length, &client, NULL) != MPFLAGS_OK
        || mpflags_client_start(client, NULL) != MPFLAGS_OK
        || mpflags_client_wait_ready(client, 10000, NULL) != MPFLAGS_OK) {
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL && sscanf(line, "%19s %49s", how, user) == 2) {
        call(user, strcmp(how, "refresh") == 0);
    }
    mpflags_client_free(client);
    return 0;
}
