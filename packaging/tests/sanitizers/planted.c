/* Planted bugs, which the sanitizers must report. usage: planted BUG */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpflags.h>

static mpflags_client *client;
static mpflags_context *user;

static mpflags_evaluation *evaluate(const char *key, size_t length)
{
    mpflags_evaluation *evaluation = NULL;
    mpflags_client_evaluate(client, key, length, user, MPFLAGS_TYPE_ANY, 0, 0, &evaluation, NULL);
    return evaluation;
}

int main(int argc, char **argv)
{
    const char *bug = argc == 2 ? argv[1] : "";
    const char *config = "{\"token\": \"t\", \"enable_polling\": false, \"overrides\": {\"flag\": \"a value\", \"max\": 2147483647}}";
    mpflags_client_new(config, strlen(config), &client, NULL);
    mpflags_context_new_json(MPFLAGS_S("{\"distinct_id\": \"u1\"}"), &user, NULL);
    mpflags_evaluation *evaluation = evaluate(MPFLAGS_S("flag"));
    mpflags_str value = mpflags_evaluation_string(evaluation);
    int seen = value.ptr[0];

    if (strcmp(bug, "string-after-free") == 0) {
        /* A read in this program. */
        mpflags_evaluation_free(evaluation);
        seen += value.ptr[0];
        evaluation = NULL;
    } else if (strcmp(bug, "handle-after-free") == 0) {
        /* A read inside the library. */
        mpflags_evaluation_free(evaluation);
        seen += (int)mpflags_evaluation_reason(evaluation);
        evaluation = NULL;
    } else if (strcmp(bug, "double-free") == 0) {
        mpflags_evaluation_free(evaluation);
        mpflags_evaluation_free(evaluation);
        evaluation = NULL;
    } else if (strcmp(bug, "length-too-long") == 0) {
        /* A read inside the library, past the end. */
        char *key = malloc(4);
        memcpy(key, "flag", 4);
        mpflags_evaluation_free(evaluate(key, 12));
        free(key);
    } else if (strcmp(bug, "leak") == 0) {
        evaluation = evaluate(MPFLAGS_S("flag"));
        evaluation = NULL;
    } else if (strcmp(bug, "overflow") == 0) {
        int max = (int)mpflags_client_get_int64(client, MPFLAGS_S("max"), user, 0);
        max += argc;
        seen += max;
    } else if (strcmp(bug, "none") != 0) {
        fprintf(stderr, "no such bug: %s\n", bug);
        return 2;
    }
    printf("%d\n", seen);
    mpflags_evaluation_free(evaluation);
    mpflags_context_free(user);
    mpflags_client_free(client);
    return 0;
}
