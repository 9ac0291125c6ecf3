/* Uses only installed files, and no network: the configuration has the flag. */
#include <stdio.h>
#include <string.h>

#include <mpflags.h>

int main(void)
{
    const char *config = "{\"token\": \"t\", \"enable_polling\": false, \"overrides\": {\"button-color\": \"green\"}}";
    mpflags_client *client = NULL;
    mpflags_context *user = NULL;
    mpflags_evaluation *color = NULL;
    mpflags_error *error = NULL;
    int status = 1;

    mpflags_context_builder *builder = mpflags_context_builder_new();
    mpflags_context_builder_set_string(builder, MPFLAGS_S("distinct_id"), MPFLAGS_S("u1"));
    if (mpflags_abi_version() != MPFLAGS_ABI_VERSION || mpflags_abi_revision() < MPFLAGS_ABI_REVISION) {
        fprintf(stderr, "the library is older than the header\n");
    } else if (mpflags_client_new(config, strlen(config), &client, &error) != MPFLAGS_OK
               || mpflags_client_start(client, &error) != MPFLAGS_OK
               || mpflags_context_builder_build(builder, &user, &error) != MPFLAGS_OK
               || mpflags_client_evaluate(client, MPFLAGS_S("button-color"), user, MPFLAGS_TYPE_STRING, 0, 0, &color,
                                          &error) != MPFLAGS_OK) {
        fprintf(stderr, "%s\n", mpflags_error_message(error).ptr);
    } else {
        printf("mpflags %s: %s\n", mpflags_version().ptr, mpflags_evaluation_string(color).ptr);
        status = strcmp(mpflags_evaluation_string(color).ptr, "green") != 0;
    }
    mpflags_error_free(error);
    mpflags_evaluation_free(color);
    mpflags_context_builder_free(builder);
    mpflags_context_free(user);
    mpflags_client_free(client);
    return status;
}
