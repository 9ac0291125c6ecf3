/* Remote evaluation: Mixpanel decides, in one request for all flags of a user. */
#include <stdio.h>
#include <string.h>

#include <mpflags.h>

int main(int argc, char **argv) {
    /* argv[1]: {"token": "...", "mode": "remote"}, and "api_host" if it is not api.mixpanel.com. */
    const char *config = argc == 2 ? argv[1] : "{}";
    mpflags_client *client = NULL;
    mpflags_context *user = NULL;
    mpflags_evaluations *all = NULL;
    mpflags_error *error = NULL;
    int status = 1;

    mpflags_context_builder *builder = mpflags_context_builder_new();
    mpflags_context_builder_set_string(builder, MPFLAGS_S("distinct_id"), MPFLAGS_S("user-1"));

    if (mpflags_client_new(config, strlen(config), &client, &error) != MPFLAGS_OK
        || mpflags_client_start(client, &error) != MPFLAGS_OK
        || mpflags_context_builder_build(builder, &user, &error) != MPFLAGS_OK
        || mpflags_client_evaluate_all(client, user, 0, 2000, &all, &error) != MPFLAGS_OK) {
        fprintf(stderr, "%s\n", mpflags_error_message(error).ptr);
    } else if (mpflags_evaluations_failure(all) != MPFLAGS_ERROR_NONE) {
        fprintf(stderr, "no response: %s\n", mpflags_evaluations_message(all).ptr);
    } else {
        for (size_t i = 0; i < mpflags_evaluations_count(all); i++) {
            const mpflags_evaluation *flag = mpflags_evaluations_at(all, i);
            printf("%s: %s, variant %s\n", mpflags_evaluation_key(flag).ptr, mpflags_evaluation_json(flag).ptr,
                   mpflags_evaluation_variant(flag).ptr);
        }
        /* evaluate_all reports no exposures. Report the flag that the user is shown. */
        mpflags_client_track_exposure(client, mpflags_evaluations_find(all, MPFLAGS_S("button-color")), NULL);
        status = 0;
    }
    mpflags_evaluations_free(all);
    mpflags_context_builder_free(builder);
    mpflags_context_free(user);
    mpflags_error_free(error);
    /* Sends the exposure. */
    mpflags_client_free(client);
    return status;
}
