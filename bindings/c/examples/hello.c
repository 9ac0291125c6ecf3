#include <stdio.h>
#include <string.h>
#include <mpflags.h>

int main(int argc, char **argv)
{
    const char *config = argc > 1 ? argv[1] : "{\"token\": \"YOUR_PROJECT_TOKEN\"}";
    mpflags_client *client = NULL;
    mpflags_context *user = NULL;
    mpflags_error *error = NULL;

    mpflags_context_builder *builder = mpflags_context_builder_new();
    mpflags_context_builder_set_string(builder, MPFLAGS_S("distinct_id"), MPFLAGS_S("user-1"));
    mpflags_context_builder_set_property_string(builder, MPFLAGS_S("plan"), MPFLAGS_S("premium"));
    mpflags_context_builder_set_property_int64(builder, MPFLAGS_S("seats"), 12);

    if (mpflags_context_builder_build(builder, &user, &error) != MPFLAGS_OK
        || mpflags_client_new(config, strlen(config), &client, &error) != MPFLAGS_OK
        || mpflags_client_start(client, &error) != MPFLAGS_OK
        || mpflags_client_wait_ready(client, 10000, &error) != MPFLAGS_OK)
        fprintf(stderr, "%s\n", mpflags_error_message(error).ptr);

    bool on = mpflags_client_get_boolean(client, MPFLAGS_S("new-checkout"), user, false);
    printf("new-checkout: %s\n", on ? "on" : "off");

    mpflags_error_free(error);
    mpflags_context_builder_free(builder);
    mpflags_context_free(user);
    mpflags_client_free(client); /* sends the exposure */
    return 0;
}
