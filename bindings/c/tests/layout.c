/* The numbers and layouts that programs compiled against this header rely on: add, never change. Compiled, not run. */
#include <assert.h>
#include "mpflags.h"

static_assert(MPFLAGS_ABI_VERSION == 0, "the SONAME has it too");
static_assert(MPFLAGS_ABI_REVISION >= 1, "it only grows");

static_assert(MPFLAGS_OK == 0 && MPFLAGS_NULL_ARGUMENT == 10 && MPFLAGS_INVALID_UTF8 == 11, "status");
static_assert(MPFLAGS_INVALID_ARGUMENT == 12 && MPFLAGS_UNKNOWN_BIT == 13, "status");
static_assert(MPFLAGS_INVALID_CONFIG == 20 && MPFLAGS_INVALID_CONTEXT == 21, "status");
static_assert(MPFLAGS_INVALID_DEFINITIONS == 22 && MPFLAGS_QUEUE_FULL == 32 && MPFLAGS_CREDENTIALS_REFUSED == 30, "status");
static_assert(MPFLAGS_BACKEND == 31 && MPFLAGS_TIMEOUT == 40 && MPFLAGS_CLOSED == 41, "status");
static_assert(MPFLAGS_SYSTEM == 50 && MPFLAGS_PANIC == 60 && MPFLAGS_GENERAL == 90, "status");

static_assert(MPFLAGS_STATE_NONE == 0 && MPFLAGS_STATE_NOT_READY == 1 && MPFLAGS_STATE_READY == 2, "state");
static_assert(MPFLAGS_STATE_STALE == 3 && MPFLAGS_STATE_ERROR == 4, "state");

static_assert(MPFLAGS_TYPE_ANY == 0 && MPFLAGS_TYPE_BOOLEAN == 1 && MPFLAGS_TYPE_STRING == 2, "type");
static_assert(MPFLAGS_TYPE_INT64 == 3 && MPFLAGS_TYPE_DOUBLE == 4 && MPFLAGS_TYPE_OBJECT == 5, "type");
static_assert(MPFLAGS_TYPE_OBJECT_OR_ARRAY == 6, "type");

static_assert(MPFLAGS_KIND_NONE == 0 && MPFLAGS_KIND_BOOLEAN == 1 && MPFLAGS_KIND_STRING == 2, "kind");
static_assert(MPFLAGS_KIND_INT64 == 3 && MPFLAGS_KIND_DOUBLE == 4 && MPFLAGS_KIND_OBJECT == 5, "kind");
static_assert(MPFLAGS_KIND_ARRAY == 6 && MPFLAGS_KIND_NULL == 7, "kind");

static_assert(MPFLAGS_REASON_UNKNOWN == 0 && MPFLAGS_REASON_STATIC == 1 && MPFLAGS_REASON_DEFAULT == 2, "reason");
static_assert(MPFLAGS_REASON_TARGETING_MATCH == 3 && MPFLAGS_REASON_SPLIT == 4, "reason");
static_assert(MPFLAGS_REASON_DISABLED == 5 && MPFLAGS_REASON_ERROR == 6, "reason");

static_assert(MPFLAGS_ERROR_NONE == 0 && MPFLAGS_ERROR_PROVIDER_NOT_READY == 1, "error code");
static_assert(MPFLAGS_ERROR_FLAG_NOT_FOUND == 2 && MPFLAGS_ERROR_PARSE_ERROR == 3, "error code");
static_assert(MPFLAGS_ERROR_TYPE_MISMATCH == 4 && MPFLAGS_ERROR_TARGETING_KEY_MISSING == 5, "error code");
static_assert(MPFLAGS_ERROR_INVALID_CONTEXT == 6 && MPFLAGS_ERROR_PROVIDER_FATAL == 7, "error code");
static_assert(MPFLAGS_ERROR_GENERAL == 8, "error code");

static_assert(MPFLAGS_EXPERIMENT_UNKNOWN == 0 && MPFLAGS_EXPERIMENT_INACTIVE == 1, "experiment");
static_assert(MPFLAGS_EXPERIMENT_ACTIVE == 2, "experiment");

static_assert(MPFLAGS_ITEM_NONE == 0 && MPFLAGS_ITEM_LOG == 1 && MPFLAGS_ITEM_STATE == 2, "item");
static_assert(MPFLAGS_ITEM_CHANGE == 3 && MPFLAGS_ITEM_EVENT == 4, "item");
static_assert(MPFLAGS_OPTION_NO_EXPOSURE == 1, "option");

static_assert(MPFLAGS_LEVEL_NONE == 0 && MPFLAGS_LEVEL_DEBUG == 1 && MPFLAGS_LEVEL_INFO == 2, "level");
static_assert(MPFLAGS_LEVEL_WARNING == 3 && MPFLAGS_LEVEL_ERROR == 4, "level");

static_assert(MPFLAGS_TIMEOUT_CONFIGURED == UINT32_MAX, "waits");
static_assert(MPFLAGS_TIMEOUT_INIT == 1 && MPFLAGS_TIMEOUT_REQUEST == 2 && MPFLAGS_TIMEOUT_SHUTDOWN == 3, "timeouts");
static_assert(MPFLAGS_ENCODING_JSON == 1 && MPFLAGS_ENCODING_BINARY == 2, "encoding");
static_assert(MPFLAGS_ANSWER_NO_MATCH == 1 && MPFLAGS_ANSWER_DISABLED == 3 && MPFLAGS_ANSWER_NO_PROPERTIES == 5, "answers");

static_assert(sizeof(mpflags_status) == 4, "a status is an int32_t");
static_assert(sizeof(mpflags_str) == sizeof(char *) + sizeof(size_t), "no padding");
static_assert(offsetof(mpflags_str, ptr) == 0 && offsetof(mpflags_str, len) == sizeof(char *), "pointer, then length");

static inline size_t two(const char *ptr, size_t len) { return ptr[len] == '\0' ? len : 0; }
static inline size_t literal(void) { return two(MPFLAGS_S("caf\303\251")); }
int main(void) { return literal() == 5 ? 0 : 1; }
