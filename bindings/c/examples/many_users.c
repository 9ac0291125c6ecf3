/* Evaluates one flag for many users, one distinct_id per line of standard input, and counts the variants.
 *
 *   many_users '{"token": "YOUR_PROJECT_TOKEN"}' button-color <users.txt
 *
 * It reports no exposures, because nobody is shown anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpflags.h>

enum { VARIANTS = 64 };
static struct { char name[64]; unsigned long users; } counts[VARIANTS];

static void count(const char *name)
{
    for (int i = 0; i < VARIANTS; i++) {
        if (counts[i].users == 0) snprintf(counts[i].name, sizeof counts[i].name, "%s", name);
        if (strncmp(counts[i].name, name, sizeof counts[i].name - 1) == 0) {
            counts[i].users++;
            return;
        }
    }
}

/* Exits if a call failed. */
static void check(mpflags_status status, mpflags_error *const *error)
{
    if (status == MPFLAGS_OK) return;
    fprintf(stderr, "many_users: %s\n", mpflags_error_message(*error).ptr);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: many_users CONFIG FLAG <USERS\n");
        return 2;
    }
    mpflags_client *client = NULL;
    mpflags_error *error = NULL;
    check(mpflags_client_new(argv[1], strlen(argv[1]), &client, &error), &error);
    check(mpflags_client_start(client, &error), &error);
    check(mpflags_client_wait_ready(client, 10000, &error), &error);

    /* Building a context leaves the builder empty, ready for the next user. */
    mpflags_context_builder *builder = mpflags_context_builder_new();
    static char user[1024];
    while (fgets(user, sizeof user, stdin)) {
        size_t length = strcspn(user, "\r\n");
        if (user[length] == '\0' && !feof(stdin)) {
            fprintf(stderr, "many_users: a line is longer than %d bytes\n", (int)sizeof user - 2);
            exit(1);
        }
        mpflags_context *context = NULL;
        mpflags_evaluation *evaluation = NULL;
        mpflags_context_builder_set_string(builder, MPFLAGS_S("distinct_id"), user, length);
        check(mpflags_context_builder_build(builder, &context, &error), &error);
        check(mpflags_client_evaluate(client, argv[2], strlen(argv[2]), context, MPFLAGS_TYPE_ANY,
                                      MPFLAGS_OPTION_NO_EXPOSURE, 0, &evaluation, &error), &error);
        count(mpflags_evaluation_has_value(evaluation) ? mpflags_evaluation_variant(evaluation).ptr : "(default)");
        mpflags_evaluation_free(evaluation);
        mpflags_context_free(context);
    }
    for (int i = 0; i < VARIANTS && counts[i].users > 0; i++) printf("%s %lu\n", counts[i].name, counts[i].users);
    mpflags_context_builder_free(builder);
    mpflags_client_free(client);
    return 0;
}
