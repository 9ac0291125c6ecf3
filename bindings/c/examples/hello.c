#include <stdio.h>
#include <string.h>
#include <mpflags.h>

int main(int argc, char **argv)
{
    const char *config = argc > 1 ? argv[1] : "{\"token\": \"YOUR_PROJECT_TOKEN\"}";
    mpflags_client *client = NULL;
    mpflags_context *user = NULL;
    mpflags_context_new_json(MPFLAGS_S("{\"distinct_id\": \"user-1\"}"), &user, NULL);
    mpflags_client_new(config, strlen(config), &client, NULL);
    mpflags_client_start(client, NULL);
    mpflags_client_wait_ready(client, 10000, NULL);

    if (mpflags_client_get_boolean(client, MPFLAGS_S("new-checkout"), user, false))
        puts("the new checkout");

    mpflags_context_free(user);
    mpflags_client_free(client); /* sends the exposure */
    return 0;
}
