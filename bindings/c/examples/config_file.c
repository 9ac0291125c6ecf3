/* Reads the configuration from a file, so that options can be changed without compiling.
 *
 *   config_file mpflags.json
 *
 *   {"token": "YOUR_PROJECT_TOKEN", "polling_interval_ms": 30000, "definitions_cache_dir": "/var/cache/shop"}
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpflags.h>

/* The whole file, or NULL. */
static char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    size_t room = 4096;
    char *text = malloc(room);
    for (*length = 0; text != NULL;) {
        *length += fread(text + *length, 1, room - *length, file);
        if (*length < room) break;
        char *more = realloc(text, room *= 2);
        if (more == NULL) free(text);
        text = more;
    }
    if (text != NULL && ferror(file)) {
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    mpflags_client *client = NULL;
    mpflags_context *user = NULL;
    mpflags_error *error = NULL;
    size_t length = 0;
    char *config = argc == 2 ? read_file(argv[1], &length) : NULL;
    if (config == NULL) {
        fprintf(stderr, "config_file: %s\n", argc == 2 ? "the file cannot be read" : "usage: config_file FILE");
        return 2;
    }
    mpflags_context_builder *builder = mpflags_context_builder_new();
    mpflags_context_builder_set_string(builder, MPFLAGS_S("distinct_id"), MPFLAGS_S("qa-1"));
    /* An unknown option, a wrong type or a value out of range is an error that names the option. */
    if (mpflags_client_new(config, length, &client, &error) == MPFLAGS_OK
        && mpflags_client_start(client, &error) == MPFLAGS_OK
        && mpflags_client_wait_ready(client, 10000, &error) == MPFLAGS_OK
        && mpflags_context_builder_build(builder, &user, &error) == MPFLAGS_OK) {
        bool on = mpflags_client_get_boolean(client, MPFLAGS_S("new-checkout"), user, false);
        printf("new-checkout: %s\n", on ? "on" : "off");
    } else {
        fprintf(stderr, "config_file: %s: %s\n", argv[1], mpflags_error_message(error).ptr);
    }
    int status = error != NULL;
    free(config);
    mpflags_error_free(error);
    mpflags_context_builder_free(builder);
    mpflags_context_free(user);
    mpflags_client_free(client);
    return status;
}
