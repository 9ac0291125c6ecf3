/* usage: first '{"token": "YOUR_PROJECT_TOKEN"}' */
#include <stdio.h>
#include <string.h>

#include "mpflags.h"

int main(int argc, char **argv)
{
    const char *config = argc > 1 ? argv[1] : "";
    mpflags_client *client = NULL;
    mpflags_context *user = NULL;
    mpflags_evaluation *color = NULL;
    mpflags_error *error = NULL;

    /* Who the flags are evaluated for. No value needs escaping. */
    mpflags_context_builder *builder = mpflags_context_builder_new();
    mpflags_context_builder_set_string(builder, MPFLAGS_S("distinct_id"), MPFLAGS_S("user-1"));
    mpflags_context_builder_set_property_string(builder, MPFLAGS_S("plan"), MPFLAGS_S("premium"));

    if (mpflags_client_new(config, strlen(config), &client, &error) != MPFLAGS_OK
        || mpflags_client_start(client, &error) != MPFLAGS_OK
        || mpflags_client_wait_ready(client, 10000, &error) != MPFLAGS_OK
        || mpflags_context_builder_build(builder, &user, &error) != MPFLAGS_OK
        || mpflags_client_evaluate(client, MPFLAGS_S("button-color"), user,
                                   MPFLAGS_TYPE_STRING, 0, 0, &color, &error) != MPFLAGS_OK) {
        fprintf(stderr, "%s\n", mpflags_error_message(error).ptr);
    } else {
        /* The short way: the value or the default. */
        bool checkout = mpflags_client_get_boolean(client, MPFLAGS_S("new-checkout"), user, false);
        printf("new-checkout: %s\n", checkout ? "on" : "off");

        /* The long way has details. A missing flag is not an error: the evaluation has no value, and a message. */
        if (mpflags_evaluation_has_value(color)) {
            printf("button-color: %s, variant %s\n", mpflags_evaluation_string(color).ptr,
                   mpflags_evaluation_variant(color).ptr);
        } else {
            const char *why = mpflags_evaluation_message(color).ptr;
            printf("button-color: the default (%s)\n", why ? why : "disabled, or not for this user");
        }
    }

    int status = error ? 1 : 0;
    mpflags_error_free(error);
    mpflags_evaluation_free(color);
    mpflags_context_builder_free(builder);
    mpflags_context_free(user);
    mpflags_client_free(client);
    return status;
}
