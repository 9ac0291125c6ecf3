/* Makes every guarded function panic once: in this library, the call after one with the text "mpflags-panic" panics. Prints
 * the name of each; standard error is empty unless something is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpflags.h"

static int failures;
static mpflags_client *client;
static mpflags_error *err;
static char untouched;

#define CHECK(condition) \
    do { if (!(condition)) { failures++; fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); } } while (0)

static void arm(void)
{
    mpflags_context *none = NULL;
    CHECK(mpflags_context_new_json(MPFLAGS_S("mpflags-panic"), &none, NULL) == MPFLAGS_INVALID_CONTEXT);
    err = NULL;
}

static void failed(const char *name, mpflags_status status)
{
    printf("%s\n", name);
    if (status != MPFLAGS_PANIC || err == NULL || mpflags_error_status(err) != MPFLAGS_PANIC
        || strstr(mpflags_error_message(err).ptr, "a panic was caught: armed") == NULL) {
        failures++;
        fprintf(stderr, "%s: status %d\n", name, (int)status);
    }
    mpflags_error_free(err);
    err = NULL;
}

/* The text of the panic is the client's next item. */
static void logged(const char *name)
{
    mpflags_item *item = NULL;
    if (mpflags_client_next_item(client, 0, &item, NULL) != MPFLAGS_OK || mpflags_item_kind(item) != MPFLAGS_ITEM_LOG
        || mpflags_item_level(item) != MPFLAGS_LEVEL_ERROR || strstr(mpflags_item_message(item).ptr, "armed") == NULL) {
        failures++;
        fprintf(stderr, "%s: the panic is not logged\n", name);
    }
    mpflags_item_free(item);
    CHECK(mpflags_client_next_item(client, 0, &item, NULL) == MPFLAGS_TIMEOUT);
}

#define STATUS(name, ...) (arm(), failed("mpflags_" #name, mpflags_##name(__VA_ARGS__, &err)))
#define CLIENT_STATUS(name, ...) (STATUS(name, __VA_ARGS__), logged(#name))
#define VALUE(name, is, ...) \
    do { arm(); CHECK(mpflags_##name(__VA_ARGS__) is); printf("mpflags_" #name "\n"); } while (0)
#define CLIENT_VALUE(name, is, ...) do { VALUE(name, is, __VA_ARGS__); logged(#name); } while (0)
#define TEXT(name, ...) \
    do { \
        arm(); \
        mpflags_str returned = mpflags_##name(__VA_ARGS__); \
        CHECK(returned.ptr == NULL && returned.len == 0); \
        printf("mpflags_" #name "\n"); \
    } while (0)
/* The first call panics before it frees, the second one frees. */
#define FREE(name, handle) \
    do { arm(); mpflags_##name(handle); mpflags_##name(handle); printf("mpflags_" #name "\n"); } while (0)

/* The builder keeps the panic of a setter. */
#define SETTER(name, ...) \
    do { \
        arm(); \
        mpflags_context_builder_##name(builder, MPFLAGS_S("a") __VA_ARGS__); \
        printf("mpflags_context_builder_" #name "\n"); \
        CHECK(mpflags_context_builder_build(builder, &no_context, NULL) == MPFLAGS_PANIC); \
    } while (0)

static void callback(const mpflags_item *item, void *user_data) { (void)item; (void)user_data; }
static void drop(void *user_data) { (void)user_data; CHECK(!"drop is called after a failure"); }

int main(void)
{
    static const char config[] = "{\"token\": \"t\", \"enable_polling\": false, \"definitions\": {\"flags\": []},"
        " \"overrides\": {\"on\": true, \"one\": 1, \"text\": \"x\"}}";
    mpflags_client *no_client = (mpflags_client *)&untouched;
    mpflags_context *no_context = (mpflags_context *)&untouched, *context = NULL;
    mpflags_evaluation *no_evaluation = (mpflags_evaluation *)&untouched, *evaluation = NULL;
    mpflags_evaluations *no_evaluations = (mpflags_evaluations *)&untouched, *evaluations = NULL;
    mpflags_text *no_text = (mpflags_text *)&untouched, *text = NULL;
    mpflags_item *no_item = (mpflags_item *)&untouched, *item = NULL;

    /* Not the first client of the process: that one installs the hook that keeps panics silent. */
    CHECK(mpflags_client_new(config, sizeof config - 1, &client, NULL) == MPFLAGS_OK);
    STATUS(client_new, config, sizeof config - 1, &no_client);
    STATUS(context_new_json, MPFLAGS_S("{}"), &no_context);
    STATUS(context_new_encoded, MPFLAGS_S("{}"), 1, &no_context);
    CHECK(mpflags_context_new_json(MPFLAGS_S("{}"), &context, NULL) == MPFLAGS_OK);
    VALUE(context_builder_new, == NULL, );
    mpflags_context_builder *builder = mpflags_context_builder_new();
    SETTER(set_string, , MPFLAGS_S("b"));
    SETTER(set_int64, , 1);
    SETTER(set_double, , 1);
    SETTER(set_boolean, , 1);
    SETTER(set_null, );
    SETTER(set_json, , MPFLAGS_S("1"));
    SETTER(set_unusable, , MPFLAGS_S("b"));
    SETTER(set_property_string, , MPFLAGS_S("b"));
    SETTER(set_property_int64, , 1);
    SETTER(set_property_double, , 1);
    SETTER(set_property_boolean, , 1);
    SETTER(set_property_null, );
    SETTER(set_property_json, , MPFLAGS_S("1"));
    SETTER(begin_object, );
    SETTER(begin_array, );
    mpflags_context_builder_begin_array(builder, MPFLAGS_S("a"));
    FREE(context_builder_end, builder);
    FREE(context_builder_reset, builder);
    STATUS(context_builder_build, builder, &no_context);
    FREE(context_builder_free, builder);
    CHECK(mpflags_client_evaluate(client, MPFLAGS_S("text"), context, 0, 0, 0, &evaluation, NULL) == MPFLAGS_OK);

    CLIENT_STATUS(client_evaluate, client, MPFLAGS_S("on"), context, 0, 0, 0, &no_evaluation);
    CLIENT_STATUS(client_evaluate_encoded, client, MPFLAGS_S("on"), MPFLAGS_S("{}"), 1, 0, 0, 0, &no_evaluation);
    CLIENT_STATUS(client_evaluate_all, client, context, 0, 0, &no_evaluations);
    CLIENT_STATUS(client_evaluate_table, client, NULL, MPFLAGS_S("{}"), NULL);
    CLIENT_STATUS(client_track_exposure, client, evaluation);
    CLIENT_STATUS(client_track, client, MPFLAGS_S("E"), MPFLAGS_S("u"), MPFLAGS_S("{}"));
    CLIENT_STATUS(client_people_update, client, MPFLAGS_S("$set"), MPFLAGS_S("u"), MPFLAGS_S("{}"));
    CLIENT_STATUS(client_group_update, client, MPFLAGS_S("$set"), MPFLAGS_S("company"), MPFLAGS_S("a"), MPFLAGS_S("{}"));
    CLIENT_STATUS(client_flush, client, 0, NULL);
    CLIENT_STATUS(client_statistics, client, &no_text);
    CLIENT_STATUS(client_explain, client, MPFLAGS_S("on"), context, &no_text);
    CLIENT_STATUS(client_set_override, client, MPFLAGS_S("on"), MPFLAGS_S("false"));
    CLIENT_STATUS(client_clear_override, client, MPFLAGS_S("on"));
    CLIENT_STATUS(client_wait_ready, client, 0);
    CLIENT_STATUS(client_refresh, client, 0);
    CLIENT_STATUS(client_on_item, client, callback, NULL, drop);
    CLIENT_STATUS(client_start, client);
    CLIENT_STATUS(client_shutdown, client, 0, NULL);
    CLIENT_STATUS(client_next_item, client, 0, &no_item);
    CHECK((char *)no_client == &untouched && (char *)no_context == &untouched);
    CHECK((char *)no_evaluation == &untouched && (char *)no_item == &untouched);
    CHECK((char *)no_evaluations == &untouched && (char *)no_text == &untouched);

    CLIENT_VALUE(client_get_boolean, == false, client, MPFLAGS_S("on"), context, 0);
    CLIENT_VALUE(client_get_boolean, == true, client, MPFLAGS_S("none"), context, 1);
    CLIENT_VALUE(client_get_int64, == -7, client, MPFLAGS_S("one"), context, -7);
    CLIENT_VALUE(client_get_double, == -7.5, client, MPFLAGS_S("one"), context, -7.5);
    CLIENT_VALUE(client_evaluate_packed, == 0, client, MPFLAGS_S("on"), MPFLAGS_S("{}"), 0);
    CLIENT_VALUE(client_evaluate_packed_z, == 0, client, "on", "{}", 0);
    CLIENT_VALUE(client_answer, == NULL, client, MPFLAGS_S("on"), MPFLAGS_ANSWER_NO_MATCH);
    CLIENT_VALUE(client_timeout, == 0, client, MPFLAGS_TIMEOUT_INIT);
    CLIENT_VALUE(client_state, == MPFLAGS_STATE_NONE, client);
    /* None of these calls had an effect. */
    CHECK(mpflags_client_get_boolean(client, MPFLAGS_S("on"), context, 0));

    VALUE(evaluation_has_value, == false, evaluation);
    VALUE(evaluation_kind, == MPFLAGS_KIND_NONE, evaluation);
    VALUE(evaluation_boolean, == false, evaluation);
    VALUE(evaluation_int64, == 0, evaluation);
    VALUE(evaluation_double, == 0, evaluation);
    VALUE(evaluation_reason, == MPFLAGS_REASON_UNKNOWN, evaluation);
    VALUE(evaluation_error_code, == MPFLAGS_ERROR_NONE, evaluation);
    VALUE(evaluation_is_experiment_active, == MPFLAGS_EXPERIMENT_UNKNOWN, evaluation);
    VALUE(evaluation_is_qa_tester, == false, evaluation);
    VALUE(evaluation_answer, == 0, evaluation);
    TEXT(evaluation_string, evaluation);
    TEXT(evaluation_json, evaluation);
    TEXT(evaluation_variant, evaluation);
    TEXT(evaluation_message, evaluation);
    TEXT(evaluation_key, evaluation);
    TEXT(evaluation_experiment_id, evaluation);
    TEXT(evaluation_metadata_json, evaluation);
    TEXT(evaluation_context_key, evaluation);

    arm();
    CHECK(mpflags_client_start(client, NULL) == MPFLAGS_PANIC);
    CHECK(mpflags_client_next_item(client, 0, &item, NULL) == MPFLAGS_OK);
    VALUE(item_kind, == MPFLAGS_ITEM_NONE, item);
    VALUE(item_level, == MPFLAGS_LEVEL_NONE, item);
    VALUE(item_state, == MPFLAGS_STATE_NONE, item);
    VALUE(item_key_count, == 0, item);
    TEXT(item_message, item);
    TEXT(item_key, item, 0);
    TEXT(item_event, item);

    CHECK(mpflags_client_evaluate_all(client, context, 0, 0, &evaluations, NULL) == MPFLAGS_OK);
    VALUE(evaluations_count, == 0, evaluations);
    VALUE(evaluations_at, == NULL, evaluations, 0);
    VALUE(evaluations_answers, == NULL, evaluations);
    VALUE(evaluations_find, == NULL, evaluations, MPFLAGS_S("on"));
    VALUE(evaluations_failure, == MPFLAGS_ERROR_NONE, evaluations);
    TEXT(evaluations_message, evaluations);
    CHECK(mpflags_client_statistics(client, &text, NULL) == MPFLAGS_OK);
    TEXT(text_view, text);

    arm();
    CHECK(mpflags_client_start(client, &err) == MPFLAGS_PANIC);
    mpflags_error *error = err;
    VALUE(error_status, == MPFLAGS_OK, error);
    TEXT(error_message, error);

    FREE(evaluations_free, evaluations);
    FREE(text_free, text);
    FREE(error_free, error);
    FREE(item_free, item);
    FREE(evaluation_free, evaluation);
    FREE(context_free, context);
    FREE(client_free, client);
    return failures != 0;
}
