/* The functions that programs compiled against this header rely on, with their types; layout.c has the numbers and
 * layouts. Does not compile if a function is gone or has another type. Add new functions; change a line only with
 * another MPFLAGS_ABI_VERSION. Without the section for bindings. Compiled, not run, by packaging/tests/abi. */
#include "mpflags.h"

/* A status is signed. */
char a_status_is_signed[(mpflags_status)-1 < 0 ? 1 : -1];

/* The types of the members. */
mpflags_str a_str;
const char **a_ptr = &a_str.ptr;
size_t *a_len = &a_str.len;

/* Callbacks, as a program defines them. */
void take(const mpflags_item *item, void *user_data);
void drop(void *user_data);
mpflags_callback a_callback = take;
mpflags_drop a_drop = drop;

uint32_t (*p_mpflags_abi_version)(void) = mpflags_abi_version;
uint32_t (*p_mpflags_abi_revision)(void) = mpflags_abi_revision;
mpflags_str (*p_mpflags_version)(void) = mpflags_version;
mpflags_str (*p_mpflags_state_name)(int32_t) = mpflags_state_name;
mpflags_str (*p_mpflags_status_name)(mpflags_status) = mpflags_status_name;
mpflags_str (*p_mpflags_type_name)(uint32_t) = mpflags_type_name;
mpflags_str (*p_mpflags_kind_name)(int32_t) = mpflags_kind_name;
mpflags_str (*p_mpflags_reason_name)(int32_t) = mpflags_reason_name;
mpflags_str (*p_mpflags_error_name)(int32_t) = mpflags_error_name;
mpflags_str (*p_mpflags_level_name)(int32_t) = mpflags_level_name;
mpflags_status (*p_mpflags_error_status)(const mpflags_error *) = mpflags_error_status;
mpflags_str (*p_mpflags_error_message)(const mpflags_error *) = mpflags_error_message;
void (*p_mpflags_error_free)(mpflags_error *) = mpflags_error_free;
mpflags_status (*p_mpflags_client_new)(const char *, size_t, mpflags_client **, mpflags_error **) = mpflags_client_new;
mpflags_status (*p_mpflags_client_start)(const mpflags_client *, mpflags_error **) = mpflags_client_start;
mpflags_status (*p_mpflags_client_wait_ready)(const mpflags_client *, uint32_t, mpflags_error **) = mpflags_client_wait_ready;
mpflags_status (*p_mpflags_client_refresh)(const mpflags_client *, uint32_t, mpflags_error **) = mpflags_client_refresh;
int32_t (*p_mpflags_client_state)(const mpflags_client *) = mpflags_client_state;
uint32_t (*p_mpflags_client_timeout)(const mpflags_client *, uint32_t) = mpflags_client_timeout;
mpflags_status (*p_mpflags_client_shutdown)(const mpflags_client *, uint32_t, uint64_t *, mpflags_error **) = mpflags_client_shutdown;
void (*p_mpflags_client_free)(mpflags_client *) = mpflags_client_free;
mpflags_status (*p_mpflags_context_new_json)(const char *, size_t, mpflags_context **, mpflags_error **) = mpflags_context_new_json;
mpflags_status (*p_mpflags_context_new_encoded)(const char *, size_t, int32_t, mpflags_context **, mpflags_error **) =
    mpflags_context_new_encoded;
void (*p_mpflags_context_free)(mpflags_context *) = mpflags_context_free;
mpflags_context_builder *(*p_mpflags_context_builder_new)(void) = mpflags_context_builder_new;
void (*p_mpflags_context_builder_set_string)(mpflags_context_builder *, const char *, size_t, const char *, size_t) = mpflags_context_builder_set_string;
void (*p_mpflags_context_builder_set_int64)(mpflags_context_builder *, const char *, size_t, int64_t) = mpflags_context_builder_set_int64;
void (*p_mpflags_context_builder_set_double)(mpflags_context_builder *, const char *, size_t, double) = mpflags_context_builder_set_double;
void (*p_mpflags_context_builder_set_boolean)(mpflags_context_builder *, const char *, size_t, int32_t) = mpflags_context_builder_set_boolean;
void (*p_mpflags_context_builder_set_null)(mpflags_context_builder *, const char *, size_t) = mpflags_context_builder_set_null;
void (*p_mpflags_context_builder_set_json)(mpflags_context_builder *, const char *, size_t, const char *, size_t) = mpflags_context_builder_set_json;
void (*p_mpflags_context_builder_set_unusable)(mpflags_context_builder *, const char *, size_t, const char *, size_t) = mpflags_context_builder_set_unusable;
void (*p_mpflags_context_builder_set_property_string)(mpflags_context_builder *, const char *, size_t, const char *, size_t) = mpflags_context_builder_set_property_string;
void (*p_mpflags_context_builder_set_property_int64)(mpflags_context_builder *, const char *, size_t, int64_t) = mpflags_context_builder_set_property_int64;
void (*p_mpflags_context_builder_set_property_double)(mpflags_context_builder *, const char *, size_t, double) = mpflags_context_builder_set_property_double;
void (*p_mpflags_context_builder_set_property_boolean)(mpflags_context_builder *, const char *, size_t, int32_t) = mpflags_context_builder_set_property_boolean;
void (*p_mpflags_context_builder_set_property_null)(mpflags_context_builder *, const char *, size_t) = mpflags_context_builder_set_property_null;
void (*p_mpflags_context_builder_set_property_json)(mpflags_context_builder *, const char *, size_t, const char *, size_t) = mpflags_context_builder_set_property_json;
void (*p_mpflags_context_builder_begin_object)(mpflags_context_builder *, const char *, size_t) = mpflags_context_builder_begin_object;
void (*p_mpflags_context_builder_begin_array)(mpflags_context_builder *, const char *, size_t) = mpflags_context_builder_begin_array;
void (*p_mpflags_context_builder_end)(mpflags_context_builder *) = mpflags_context_builder_end;
mpflags_status (*p_mpflags_context_builder_build)(mpflags_context_builder *, mpflags_context **, mpflags_error **) = mpflags_context_builder_build;
void (*p_mpflags_context_builder_reset)(mpflags_context_builder *) = mpflags_context_builder_reset;
void (*p_mpflags_context_builder_free)(mpflags_context_builder *) = mpflags_context_builder_free;
bool (*p_mpflags_client_get_boolean)(const mpflags_client *, const char *, size_t, const mpflags_context *, int32_t) = mpflags_client_get_boolean;
int64_t (*p_mpflags_client_get_int64)(const mpflags_client *, const char *, size_t, const mpflags_context *, int64_t) = mpflags_client_get_int64;
double (*p_mpflags_client_get_double)(const mpflags_client *, const char *, size_t, const mpflags_context *, double) = mpflags_client_get_double;
mpflags_status (*p_mpflags_client_evaluate)(const mpflags_client *, const char *, size_t, const mpflags_context *, uint32_t, uint32_t, uint32_t, mpflags_evaluation **, mpflags_error **) = mpflags_client_evaluate;
mpflags_status (*p_mpflags_client_explain)(const mpflags_client *, const char *, size_t, const mpflags_context *, mpflags_text **, mpflags_error **) = mpflags_client_explain;
mpflags_status (*p_mpflags_client_set_override)(const mpflags_client *, const char *, size_t, const char *, size_t, mpflags_error **) = mpflags_client_set_override;
mpflags_status (*p_mpflags_client_clear_override)(const mpflags_client *, const char *, size_t, mpflags_error **) = mpflags_client_clear_override;
bool (*p_mpflags_evaluation_has_value)(const mpflags_evaluation *) = mpflags_evaluation_has_value;
int32_t (*p_mpflags_evaluation_kind)(const mpflags_evaluation *) = mpflags_evaluation_kind;
bool (*p_mpflags_evaluation_boolean)(const mpflags_evaluation *) = mpflags_evaluation_boolean;
int64_t (*p_mpflags_evaluation_int64)(const mpflags_evaluation *) = mpflags_evaluation_int64;
double (*p_mpflags_evaluation_double)(const mpflags_evaluation *) = mpflags_evaluation_double;
mpflags_str (*p_mpflags_evaluation_string)(const mpflags_evaluation *) = mpflags_evaluation_string;
mpflags_str (*p_mpflags_evaluation_json)(const mpflags_evaluation *) = mpflags_evaluation_json;
mpflags_str (*p_mpflags_evaluation_variant)(const mpflags_evaluation *) = mpflags_evaluation_variant;
int32_t (*p_mpflags_evaluation_reason)(const mpflags_evaluation *) = mpflags_evaluation_reason;
int32_t (*p_mpflags_evaluation_error_code)(const mpflags_evaluation *) = mpflags_evaluation_error_code;
mpflags_str (*p_mpflags_evaluation_message)(const mpflags_evaluation *) = mpflags_evaluation_message;
mpflags_str (*p_mpflags_evaluation_key)(const mpflags_evaluation *) = mpflags_evaluation_key;
mpflags_str (*p_mpflags_evaluation_experiment_id)(const mpflags_evaluation *) = mpflags_evaluation_experiment_id;
int32_t (*p_mpflags_evaluation_is_experiment_active)(const mpflags_evaluation *) = mpflags_evaluation_is_experiment_active;
bool (*p_mpflags_evaluation_is_qa_tester)(const mpflags_evaluation *) = mpflags_evaluation_is_qa_tester;
mpflags_str (*p_mpflags_evaluation_metadata_json)(const mpflags_evaluation *) = mpflags_evaluation_metadata_json;
void (*p_mpflags_evaluation_free)(mpflags_evaluation *) = mpflags_evaluation_free;
mpflags_status (*p_mpflags_client_evaluate_all)(const mpflags_client *, const mpflags_context *, uint32_t, uint32_t, mpflags_evaluations **, mpflags_error **) = mpflags_client_evaluate_all;
size_t (*p_mpflags_evaluations_count)(const mpflags_evaluations *) = mpflags_evaluations_count;
const mpflags_evaluation *(*p_mpflags_evaluations_at)(const mpflags_evaluations *, size_t) = mpflags_evaluations_at;
const mpflags_evaluation *(*p_mpflags_evaluations_find)(const mpflags_evaluations *, const char *, size_t) = mpflags_evaluations_find;
int32_t (*p_mpflags_evaluations_failure)(const mpflags_evaluations *) = mpflags_evaluations_failure;
mpflags_str (*p_mpflags_evaluations_message)(const mpflags_evaluations *) = mpflags_evaluations_message;
void (*p_mpflags_evaluations_free)(mpflags_evaluations *) = mpflags_evaluations_free;
mpflags_status (*p_mpflags_client_evaluate_table)(const mpflags_client *, struct ArrowArrayStream *, const char *, size_t, struct ArrowArrayStream *, mpflags_error **) = mpflags_client_evaluate_table;
mpflags_status (*p_mpflags_client_track_exposure)(const mpflags_client *, const mpflags_evaluation *, mpflags_error **) = mpflags_client_track_exposure;
mpflags_status (*p_mpflags_client_track)(const mpflags_client *, const char *, size_t, const char *, size_t, const char *, size_t, mpflags_error **) = mpflags_client_track;
mpflags_status (*p_mpflags_client_group_update)(const mpflags_client *, const char *, size_t, const char *, size_t, const char *, size_t, const char *, size_t, mpflags_error **) = mpflags_client_group_update;
mpflags_status (*p_mpflags_client_people_update)(const mpflags_client *, const char *, size_t, const char *, size_t, const char *, size_t, mpflags_error **) = mpflags_client_people_update;
mpflags_status (*p_mpflags_client_flush)(const mpflags_client *, uint32_t, uint64_t *, mpflags_error **) = mpflags_client_flush;
mpflags_status (*p_mpflags_client_statistics)(const mpflags_client *, mpflags_text **, mpflags_error **) = mpflags_client_statistics;
mpflags_str (*p_mpflags_text_view)(const mpflags_text *) = mpflags_text_view;
void (*p_mpflags_text_free)(mpflags_text *) = mpflags_text_free;
mpflags_status (*p_mpflags_client_next_item)(const mpflags_client *, uint32_t, mpflags_item **, mpflags_error **) = mpflags_client_next_item;
int32_t (*p_mpflags_item_kind)(const mpflags_item *) = mpflags_item_kind;
int32_t (*p_mpflags_item_level)(const mpflags_item *) = mpflags_item_level;
int32_t (*p_mpflags_item_state)(const mpflags_item *) = mpflags_item_state;
mpflags_str (*p_mpflags_item_message)(const mpflags_item *) = mpflags_item_message;
size_t (*p_mpflags_item_key_count)(const mpflags_item *) = mpflags_item_key_count;
mpflags_str (*p_mpflags_item_key)(const mpflags_item *, size_t) = mpflags_item_key;
mpflags_str (*p_mpflags_item_event)(const mpflags_item *) = mpflags_item_event;
void (*p_mpflags_item_free)(mpflags_item *) = mpflags_item_free;
mpflags_status (*p_mpflags_client_on_item)(const mpflags_client *, mpflags_callback, void *, mpflags_drop, mpflags_error **) = mpflags_client_on_item;
