/* Calls every function that threads may call at once on one client, for ThreadSanitizer.
 * usage: threads URL, or threads URL race: a builder that two threads use at once, which it must report. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpflags.h>

enum { ROUNDS = 2000 };

static mpflags_client *client;
static mpflags_context *shared;
static mpflags_context_builder *builder;

static void report(const mpflags_client *from)
{
    mpflags_text *text = NULL;
    mpflags_client_statistics(from, &text, NULL);
    mpflags_text_free(text);
    mpflags_client_explain(from, MPFLAGS_S("new-checkout"), shared, &text, NULL);
    mpflags_text_free(text);
}

static void *evaluates(void *number)
{
    char user[64];
    for (int round = 0; round < ROUNDS; round++) {
        mpflags_context *own = NULL;
        mpflags_evaluation *evaluation = NULL;
        mpflags_evaluations *all = NULL;
        snprintf(user, sizeof user, "{\"distinct_id\": \"user-%d-%d\"}", *(int *)number, round % 50);
        mpflags_context_new_json(user, strlen(user), &own, NULL);
        mpflags_client_get_boolean(client, MPFLAGS_S("new-checkout"), own, 0);
        mpflags_client_get_boolean(client, MPFLAGS_S("no-such-flag"), shared, 0);
        mpflags_client_evaluate(client, MPFLAGS_S("button-color"), shared, MPFLAGS_TYPE_ANY, 0, 0, &evaluation, NULL);
        mpflags_client_track_exposure(client, evaluation, NULL);
        mpflags_client_evaluate_all(client, own, 0, 0, &all, NULL);
        mpflags_evaluations_free(all);
        mpflags_evaluation_free(evaluation);
        mpflags_context_free(own);
    }
    return NULL;
}

static void *reports(void *number)
{
    (void)number;
    for (int round = 0; round < ROUNDS; round++) {
        mpflags_client_track(client, MPFLAGS_S("event"), MPFLAGS_S("user"), MPFLAGS_S("{}"), NULL);
        mpflags_client_state(client);
        report(client);
        if (round % 20 == 0) {
            mpflags_client_flush(client, 2000, NULL, NULL);
            mpflags_client_refresh(client, 2000, NULL);
        }
        mpflags_client_set_override(client, MPFLAGS_S("override"), MPFLAGS_S("true"), NULL);
        mpflags_client_clear_override(client, MPFLAGS_S("override"), NULL);
    }
    return NULL;
}

static void *pulls(void *number)
{
    mpflags_item *item = NULL;
    (void)number;
    while (mpflags_client_next_item(client, 5000, &item, NULL) == MPFLAGS_OK) {
        mpflags_item_kind(item);
        mpflags_item_free(item);
    }
    return NULL;
}

static void *starts_and_stops(void *number)
{
    (void)number;
    for (int round = 0; round < ROUNDS / 10; round++) {
        mpflags_client_start(client, NULL);
        mpflags_client_wait_ready(client, 2000, NULL);
        mpflags_client_shutdown(client, 2000, NULL, NULL);
    }
    return NULL;
}

static void *races(void *number)
{
    (void)number;
    for (int round = 0; round < ROUNDS; round++) {
        mpflags_context_builder_set_int64(builder, MPFLAGS_S("distinct_id"), round);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    void *(*const works[])(void *) = {evaluates, evaluates, reports, reports, pulls, starts_and_stops, starts_and_stops};
    enum { WORKS = sizeof works / sizeof *works };
    pthread_t threads[WORKS];
    int numbers[WORKS];
    char config[512];
    if (argc < 2) {
        return 2;
    }
    if (argc == 3 && strcmp(argv[2], "race") == 0) {
        builder = mpflags_context_builder_new();
        for (int i = 0; i < 2; i++) {
            pthread_create(&threads[i], NULL, races, NULL);
        }
        for (int i = 0; i < 2; i++) {
            pthread_join(threads[i], NULL);
        }
        mpflags_context_builder_free(builder);
        return 0;
    }
    snprintf(config, sizeof config, "{\"token\": \"demo-token\", \"api_host\": \"%s\", \"polling_interval_ms\": 50, \"log_level\": \"debug\"}",
             argv[1]);
    if (mpflags_client_new(config, strlen(config), &client, NULL) != MPFLAGS_OK
        || mpflags_context_new_json(MPFLAGS_S("{\"distinct_id\": \"u\", \"custom_properties\": {\"plan\": \"pro\"}}"), &shared, NULL)
               != MPFLAGS_OK
        || mpflags_client_start(client, NULL) != MPFLAGS_OK) {
        return 1;
    }
    for (int i = 0; i < WORKS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, works[i], &numbers[i]);
    }
    for (int i = 0; i < WORKS; i++) {
        /* The thread that pulls items ends with the client. */
        if (works[i] != pulls) {
            pthread_join(threads[i], NULL);
        }
    }
    mpflags_client_shutdown(client, 5000, NULL, NULL);
    for (int i = 0; i < WORKS; i++) {
        if (works[i] == pulls) {
            pthread_join(threads[i], NULL);
        }
    }
    mpflags_context_free(shared);
    mpflags_client_free(client);
    puts("done");
    return 0;
}
