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

static const struct { const char *id, *plan, *country; } users[] = {
    {"user-1", "free", "DE"}, {"user-2", "premium", "FR"}, {"qa-1", NULL, NULL},
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

/* The context of a user. The caller frees it. */
static mpflags_context *context_of(int user)
{
    mpflags_error *error = NULL;
    mpflags_context *context = NULL;
    const char *id = users[user].id, *plan = users[user].plan, *country = users[user].country;
    mpflags_context_builder *builder = mpflags_context_builder_new();
    mpflags_context_builder_set_string(builder, MPFLAGS_S("distinct_id"), id, strlen(id));
    if (plan) mpflags_context_builder_set_property_string(builder, MPFLAGS_S("plan"), plan, strlen(plan));
    if (country) mpflags_context_builder_set_property_string(builder, MPFLAGS_S("country"), country, strlen(country));
    check(mpflags_context_builder_build(builder, &context, &error), &error);
    mpflags_context_builder_free(builder);
    return context;
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
    for (int i = 0; i < USERS; i++) contexts[i] = context_of(i);

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
