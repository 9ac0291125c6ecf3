/* Evaluates a few flags for a few users, and again whenever their definitions change.
 *
 *   quickstart [URL [TOKEN [SECONDS]]]
 *
 * The defaults of URL and TOKEN are MPFLAGS_API_HOST and MPFLAGS_TOKEN. `make demo` runs it with mpflags-dev.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mpflags.h>

#include "json.h"

static const char *const users[] = {
    "{\"distinct_id\": \"user-1\", \"custom_properties\": {\"plan\": \"free\", \"country\": \"DE\"}}",
    "{\"distinct_id\": \"user-2\", \"custom_properties\": {\"plan\": \"premium\", \"country\": \"FR\"}}",
    "{\"distinct_id\": \"qa-1\"}",
};
enum { USERS = sizeof users / sizeof *users };

static const struct { const char *key; uint32_t type; } flags[] = {
    {"new-checkout", MPFLAGS_TYPE_BOOLEAN}, {"premium-chat", MPFLAGS_TYPE_BOOLEAN},
    {"button-color", MPFLAGS_TYPE_STRING},  {"search-page-size", MPFLAGS_TYPE_INT64},
    {"ranking-boost", MPFLAGS_TYPE_DOUBLE}, {"banner", MPFLAGS_TYPE_OBJECT},
};

/* Exits if a call failed. `error` is the address that the call was given. */
static void check(mpflags_status status, mpflags_error *const *error)
{
    if (status == MPFLAGS_OK) return;
    fprintf(stderr, "quickstart: %s (%s)\n", mpflags_error_message(*error).ptr, mpflags_status_name(status).ptr);
    mpflags_error_free(*error);
    exit(1);
}

static void show(const mpflags_client *client, mpflags_context *const *contexts, const char *key, uint32_t type)
{
    for (int user = 0; user < USERS; user++) {
        mpflags_error *error = NULL;
        mpflags_evaluation *evaluation = NULL;
        check(mpflags_client_evaluate(client, key, strlen(key), contexts[user], type, 0, 0, &evaluation, &error), &error);
        const char *reason = mpflags_reason_name(mpflags_evaluation_reason(evaluation)).ptr;
        if (mpflags_evaluation_has_value(evaluation)) {
            printf("%-17s user %d: %s (%s, %s)\n", key, user + 1, mpflags_evaluation_json(evaluation).ptr,
                   mpflags_evaluation_variant(evaluation).ptr, reason);
        } else {
            mpflags_str why = mpflags_evaluation_message(evaluation);
            printf("%-17s user %d: no value (%s)%s%s\n", key, user + 1, reason, why.len ? " " : "", why.len ? why.ptr : "");
        }
        mpflags_evaluation_free(evaluation);
    }
}

/* Prints an item, and the flags that changed. */
static void follow(const mpflags_client *client, mpflags_context *const *contexts, const mpflags_item *item)
{
    switch (mpflags_item_kind(item)) {
    case MPFLAGS_ITEM_LOG:
        fprintf(stderr, "%s: %s\n", mpflags_level_name(mpflags_item_level(item)).ptr, mpflags_item_message(item).ptr);
        break;
    case MPFLAGS_ITEM_STATE:
        printf("the client is %s\n", mpflags_state_name(mpflags_item_state(item)).ptr);
        break;
    case MPFLAGS_ITEM_CHANGE:
        for (size_t i = 0; i < mpflags_item_key_count(item); i++)
            for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
                if (strcmp(mpflags_item_key(item, i).ptr, flags[f].key) == 0)
                    show(client, contexts, flags[f].key, flags[f].type);
        break;
    }
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : getenv("MPFLAGS_API_HOST");
    const char *token = argc > 2 ? argv[2] : getenv("MPFLAGS_TOKEN");
    int seconds = argc > 3 ? atoi(argv[3]) : 10;
    char token_json[512], url_json[512], config[1200];
    if (json_string(token ? token : "", token_json, sizeof token_json) == NULL
        || json_string(url ? url : "api.mixpanel.com", url_json, sizeof url_json) == NULL) {
        fprintf(stderr, "quickstart: the URL or the token is too long\n");
        return 2;
    }
    int length = snprintf(config, sizeof config, "{\"token\": %s, \"api_host\": %s, \"polling_interval_ms\": 200}",
                          token_json, url_json);
    mpflags_error *error = NULL;
    mpflags_client *client = NULL;
    check(mpflags_client_new(config, (size_t)length, &client, &error), &error);
    check(mpflags_client_start(client, &error), &error);
    check(mpflags_client_wait_ready(client, 10000, &error), &error);
    mpflags_context *contexts[USERS];
    for (int i = 0; i < USERS; i++)
        check(mpflags_context_new_json(users[i], strlen(users[i]), &contexts[i], &error), &error);

    for (size_t f = 0; f < sizeof flags / sizeof *flags; f++) show(client, contexts, flags[f].key, flags[f].type);
    for (time_t end = time(NULL) + seconds; time(NULL) < end; fflush(stdout)) {
        mpflags_item *item = NULL;
        mpflags_status status = mpflags_client_next_item(client, 200, &item, &error);
        if (status == MPFLAGS_TIMEOUT) {
            mpflags_error_free(error);
            continue;
        }
        check(status, &error);
        follow(client, contexts, item);
        mpflags_item_free(item);
    }

    for (int i = 0; i < USERS; i++) mpflags_context_free(contexts[i]);
    check(mpflags_client_shutdown(client, 5000, NULL, &error), &error);
    mpflags_client_free(client);
    return 0;
}
