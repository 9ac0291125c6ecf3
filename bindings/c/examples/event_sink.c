/* Sends exposures to your own pipeline: each is an item with the event as JSON, and none is sent to Mixpanel.
 *
 *   event_sink '{"token": "YOUR_PROJECT_TOKEN", "event_sink": true}' >events.jsonl
 */
#include <stdio.h>
#include <string.h>

#include <mpflags.h>

/* Called on the thread mpflags-poll, one item at a time. Shutdown passes the last events before it returns. */
static void take(const mpflags_item *item, void *user_data)
{
    FILE *out = user_data;
    if (mpflags_item_kind(item) == MPFLAGS_ITEM_EVENT)
        fprintf(out, "%s\n", mpflags_item_event(item).ptr);
    else if (mpflags_item_kind(item) == MPFLAGS_ITEM_LOG)
        fprintf(stderr, "%s: %s\n", mpflags_level_name(mpflags_item_level(item)).ptr, mpflags_item_message(item).ptr);
}

int main(int argc, char **argv)
{
    static const char *const users[] = {"user-1", "user-2"};
    const char *config = argc == 2 ? argv[1] : "{}";
    mpflags_client *client = NULL;
    mpflags_context_builder *builder = mpflags_context_builder_new();
    mpflags_error *error = NULL;
    uint64_t undelivered = 0;
    int status = 1;

    if (mpflags_client_new(config, strlen(config), &client, &error) == MPFLAGS_OK
        && mpflags_client_on_item(client, take, stdout, NULL, &error) == MPFLAGS_OK
        && mpflags_client_start(client, &error) == MPFLAGS_OK
        && mpflags_client_wait_ready(client, 10000, &error) == MPFLAGS_OK) {
        for (int i = 0; i < 2; i++) {
            mpflags_context *user = NULL;
            mpflags_context_builder_set_string(builder, MPFLAGS_S("distinct_id"), users[i], strlen(users[i]));
            if (mpflags_context_builder_build(builder, &user, &error) != MPFLAGS_OK) break;
            int64_t size = mpflags_client_get_int64(client, MPFLAGS_S("search-page-size"), user, 10);
            fprintf(stderr, "page size of %s: %d\n", users[i], (int)size);
            mpflags_context_free(user);
        }
        if (error == NULL && mpflags_client_shutdown(client, 5000, &undelivered, &error) == MPFLAGS_OK) status = undelivered != 0;
    }
    if (error != NULL) fprintf(stderr, "event_sink: %s\n", mpflags_error_message(error).ptr);
    mpflags_error_free(error);
    mpflags_context_builder_free(builder);
    mpflags_client_free(client);
    return status;
}
