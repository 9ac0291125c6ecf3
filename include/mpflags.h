/*
 * mpflags.h: Mixpanel feature flags, evaluated in process.
 *
 * Written by cbindgen from bindings/c; do not edit it.
 *
 * THE CONTRACT
 *
 * Names. Everything begins with mpflags_ or MPFLAGS_. mpflags_<type>_<verb> is a method of <type>, its first parameter.
 * Parameters come in the order handle, inputs, outputs, error. Numbers that tell something begin at 1: 0 is none.
 *
 * Version. MPFLAGS_ABI_VERSION is the major number and stands in the library's SONAME; MPFLAGS_ABI_REVISION grows with
 * every addition. A program that loads the library itself needs the same version and at least its header's revision,
 * and asks mpflags_abi_version() and mpflags_abi_revision() before anything else.
 *
 * Handles. mpflags_client, mpflags_context, mpflags_evaluation, mpflags_item and mpflags_error are opaque. What a
 * function writes to `out` or `err` is the caller's, and is freed once, with the _free of its type; _free(NULL) does
 * nothing. Contexts, evaluations, items and errors may outlive the client. Every function takes NULL for every pointer:
 * it fails, or gives what its comment says.
 *
 * Threads. Any thread may call any function, and any number may use one handle at once. Only _free is different: when it
 * is called, no other call with that handle may be running or follow. A client has at most two long-lived threads,
 * mpflags-poll and mpflags-send; all threads of the library have all signals blocked.
 *
 * Strings in are pointer and length, UTF-8, not NUL-terminated, read during the call and never kept; NULL with 0 is the
 * empty string. MPFLAGS_S("x") stands for both arguments of a literal. Strings out are mpflags_str: borrowed from the
 * handle until it is freed, with a NUL behind the last byte; `len` is the truth, since a string may hold U+0000.
 *
 * Errors. A function that can fail returns an mpflags_status: 0, or one of the numbers below. Its last parameter `err`
 * may be NULL; if it is not, a failure writes an error there that the caller frees, and a success writes nothing. `out`
 * is written on success only. Nothing is kept per thread.
 *
 * Evaluation never waits: no lock, no system call, and no definitions to free. It reads them with one atomic load; they
 * are replaced as a whole. A first exposure takes one short lock. A flag that is missing, disabled or malformed is an
 * outcome and no failure.
 *
 * Configuration is a JSON object, read strictly: an unknown key, a wrong type or a value out of range is a failure that
 * names the key. Durations are integers in milliseconds, and their keys end in _ms.
 *
 * Waiting. Every function that waits takes timeout_ms and keeps to it. mpflags_client_shutdown may be called twice, and
 * any function after it.
 *
 * Forks. The child of a fork goes on with the parent's clients: its first call with a client that was started starts
 * threads of its own, and definitions are kept. What waited to be taken or sent is the parent's. Freeing and shutting
 * down in the child touch nothing of the parent.
 *
 * Process. The first mpflags_client_new registers a pthread_atfork handler for the child and a hook that keeps the
 * library's own panics from standard error. There are no signal handlers and no global logger; the environment is read
 * (proxy variables) only when a client is made. The library stays loaded after dlclose.
 *
 * Panics, which are bugs of the library, end at this boundary: MPFLAGS_PANIC, or the default where a function returns a
 * value. Their text goes to the client's log lines.
 *
 * Revisions. Up to 1.0 the ABI version is 0, and what stands here may change; the SONAME then changes too. The last
 * section, for bindings, may change with any revision.
 */


#ifndef MPFLAGS_H
#define MPFLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A string literal as two arguments, pointer and length: mpflags_client_get_boolean(client, MPFLAGS_S("key"), ...). */
#define MPFLAGS_S(literal) ("" literal ""), (sizeof(literal) - 1)


/**
 * The major number of this header's ABI, which is in the library's SONAME too. 0 until release 1.0.
 */
#define MPFLAGS_ABI_VERSION 0

/**
 * Grows with every addition to this header.
 */
#define MPFLAGS_ABI_REVISION 4

/**
 * No state: the client is NULL, or the item tells of something else.
 */
#define MPFLAGS_STATE_NONE 0

/**
 * There is nothing to evaluate yet.
 */
#define MPFLAGS_STATE_NOT_READY 1

/**
 * Definitions were fetched, or stand in the configuration.
 */
#define MPFLAGS_STATE_READY 2

/**
 * Definitions are held and evaluated, but Mixpanel cannot be reached or refuses the credentials, or they come from
 * the cache.
 */
#define MPFLAGS_STATE_STALE 3

/**
 * There is nothing to evaluate, and the credentials were refused or the initialisation time has passed. Polling goes
 * on: the client heals by itself.
 */
#define MPFLAGS_STATE_ERROR 4

/**
 * Instead of a time: as long as the client's own option says, `init_timeout_ms` of `mpflags_client_wait_ready`,
 * `request_timeout_ms` of `mpflags_client_refresh`, `shutdown_timeout_ms` of `mpflags_client_shutdown`.
 */
#define MPFLAGS_TIMEOUT_CONFIGURED UINT32_MAX

/**
 * For `mpflags_client_timeout`: the option `init_timeout_ms`.
 */
#define MPFLAGS_TIMEOUT_INIT 1

/**
 * For `mpflags_client_timeout`: the option `request_timeout_ms`.
 */
#define MPFLAGS_TIMEOUT_REQUEST 2

/**
 * For `mpflags_client_timeout`: the option `shutdown_timeout_ms`.
 */
#define MPFLAGS_TIMEOUT_SHUTDOWN 3

/**
 * Whatever the variant holds; never a mismatch.
 */
#define MPFLAGS_TYPE_ANY 0

/**
 * `true` or `false`.
 */
#define MPFLAGS_TYPE_BOOLEAN 1

/**
 * A string.
 */
#define MPFLAGS_TYPE_STRING 2

/**
 * An integer, or a whole number, within `int64_t`.
 */
#define MPFLAGS_TYPE_INT64 3

/**
 * Any number.
 */
#define MPFLAGS_TYPE_DOUBLE 4

/**
 * An object, an array or null.
 */
#define MPFLAGS_TYPE_OBJECT 5

/**
 * An object or an array, for SDKs that take null for no value at all.
 */
#define MPFLAGS_TYPE_OBJECT_OR_ARRAY 6

/**
 * Reports no exposure: `mpflags_client_track_exposure` does when the variant is shown.
 */
#define MPFLAGS_OPTION_NO_EXPOSURE 1

/**
 * There is no value: the default applies.
 */
#define MPFLAGS_KIND_NONE 0

/**
 * The value is `true` or `false`.
 */
#define MPFLAGS_KIND_BOOLEAN 1

/**
 * The value is a string.
 */
#define MPFLAGS_KIND_STRING 2

/**
 * The value is an integer within `int64_t`.
 */
#define MPFLAGS_KIND_INT64 3

/**
 * The value is any other number.
 */
#define MPFLAGS_KIND_DOUBLE 4

/**
 * The value is a JSON object.
 */
#define MPFLAGS_KIND_OBJECT 5

/**
 * The value is a JSON array.
 */
#define MPFLAGS_KIND_ARRAY 6

/**
 * The value is null.
 */
#define MPFLAGS_KIND_NULL 7

/**
 * No reason: the evaluation is NULL.
 */
#define MPFLAGS_REASON_UNKNOWN 0

/**
 * The same for everybody: neither rule nor chance was involved; or an override.
 */
#define MPFLAGS_REASON_STATIC 1

/**
 * Nothing applied, or the group for everybody after the groups with rules.
 */
#define MPFLAGS_REASON_DEFAULT 2

/**
 * A tester, or a rollout whose rule matched.
 */
#define MPFLAGS_REASON_TARGETING_MATCH 3

/**
 * The bucket decided.
 */
#define MPFLAGS_REASON_SPLIT 4

/**
 * The flag is disabled or archived.
 */
#define MPFLAGS_REASON_DISABLED 5

/**
 * Something is wrong; the error code says what.
 */
#define MPFLAGS_REASON_ERROR 6

/**
 * Nothing is wrong.
 */
#define MPFLAGS_ERROR_NONE 0

/**
 * No definitions have arrived yet.
 */
#define MPFLAGS_ERROR_PROVIDER_NOT_READY 1

/**
 * No definition has this key.
 */
#define MPFLAGS_ERROR_FLAG_NOT_FOUND 2

/**
 * The flag's definition does not fit the model.
 */
#define MPFLAGS_ERROR_PARSE_ERROR 3

/**
 * The value has another type than the one asked for.
 */
#define MPFLAGS_ERROR_TYPE_MISMATCH 4

/**
 * The context lacks the key that the flag is bucketed by.
 */
#define MPFLAGS_ERROR_TARGETING_KEY_MISSING 5

/**
 * The context cannot be read.
 */
#define MPFLAGS_ERROR_INVALID_CONTEXT 6

/**
 * Mixpanel refused the credentials, and no definitions are held.
 */
#define MPFLAGS_ERROR_PROVIDER_FATAL 7

/**
 * Anything else.
 */
#define MPFLAGS_ERROR_GENERAL 8

/**
 * The flag belongs to no experiment, or its definition does not say.
 */
#define MPFLAGS_EXPERIMENT_UNKNOWN 0

/**
 * The flag's experiment is not active.
 */
#define MPFLAGS_EXPERIMENT_INACTIVE 1

/**
 * The flag's experiment is active.
 */
#define MPFLAGS_EXPERIMENT_ACTIVE 2

/**
 * No kind: the item is NULL, or of a kind that this revision has no number for.
 */
#define MPFLAGS_ITEM_NONE 0

/**
 * A line for the host's log: level and message.
 */
#define MPFLAGS_ITEM_LOG 1

/**
 * The client's state has changed: state, and a message where something failed.
 */
#define MPFLAGS_ITEM_STATE 2

/**
 * The definitions of these flags have changed: their keys. Changes that nobody took yet are told as one.
 */
#define MPFLAGS_ITEM_CHANGE 3

/**
 * With `event_sink`: an event that would have been sent, for the program's own pipeline.
 */
#define MPFLAGS_ITEM_EVENT 4

/**
 * No level: the item is no log line.
 */
#define MPFLAGS_LEVEL_NONE 0

/**
 * For following what the client does.
 */
#define MPFLAGS_LEVEL_DEBUG 1

/**
 * Worth knowing.
 */
#define MPFLAGS_LEVEL_INFO 2

/**
 * Something is wrong, and evaluation goes on.
 */
#define MPFLAGS_LEVEL_WARNING 3

/**
 * Evaluations give defaults because of it.
 */
#define MPFLAGS_LEVEL_ERROR 4

/**
 * For bindings: the context is JSON. Other numbers are reserved.
 */
#define MPFLAGS_ENCODING_JSON 1

/**
 * For bindings: the packed answer of a flag of which no rollout matched: the default, with `MPFLAGS_REASON_DEFAULT`.
 */
#define MPFLAGS_ANSWER_NO_MATCH 1

/**
 * For bindings: the packed answer of a flag that is disabled or archived: the default, with `MPFLAGS_REASON_DISABLED`.
 */
#define MPFLAGS_ANSWER_DISABLED 3

/**
 * Evaluates the flags of one Mixpanel project. Any thread may call any function with it, any number at once.
 */
typedef struct mpflags_client mpflags_client;

/**
 * Whom or what a flag is evaluated for. Immutable; any thread may use it, any number at once, with any client.
 */
typedef struct mpflags_context mpflags_context;

/**
 * Why a function failed. Immutable; any thread may read it.
 */
typedef struct mpflags_error mpflags_error;

/**
 * What a flag gave for one context. It owns everything that it tells, in one allocation, and pins no definitions.
 * Immutable; any thread may read it.
 */
typedef struct mpflags_evaluation mpflags_evaluation;

/**
 * What every flag gave for one context, in order of key. Immutable; any thread may read it.
 */
typedef struct mpflags_evaluations mpflags_evaluations;

/**
 * Something that a client tells: a log line, a state, a change of definitions. Immutable; any thread may read it.
 */
typedef struct mpflags_item mpflags_item;

/**
 * A text that a function returns. Immutable; any thread may read it.
 */
typedef struct mpflags_text mpflags_text;

/**
 * A string that a function returns: UTF-8, borrowed from the handle that it was asked of until that is freed.
 *
 * A NUL follows `ptr[len - 1]`. The string may hold U+0000 itself, so `len` is the truth. Where there is no string,
 * `ptr` is NULL and `len` is 0.
 */
typedef struct {
    /**
     * The first byte, or NULL.
     */
    const char *ptr;
    /**
     * The number of bytes, the NUL not counted.
     */
    size_t len;
} mpflags_str;

/**
 * What a function came to: 0, or one of the numbers below. A number that is retired is never used again; a program
 * treats one that it does not know as a failure.
 */
typedef int32_t mpflags_status;

/**
 * Takes an item, which it may use until it returns and does not free. It throws and jumps nowhere.
 */
typedef void (*mpflags_callback)(const mpflags_item *item, void *user_data);

/**
 * Ends the use of `user_data`.
 */
typedef void (*mpflags_drop)(void *user_data);

/**
 * Success.
 */
#define MPFLAGS_OK 0

/**
 * A pointer that must not be NULL is NULL.
 */
#define MPFLAGS_NULL_ARGUMENT 10

/**
 * A string is not UTF-8.
 */
#define MPFLAGS_INVALID_UTF8 11

/**
 * An argument is not what the function takes, or not in the state that the client is in.
 */
#define MPFLAGS_INVALID_ARGUMENT 12

/**
 * An option bit is set that this library does not know.
 */
#define MPFLAGS_UNKNOWN_BIT 13

/**
 * The configuration has an unknown key, a wrong type, a value out of range or a file that cannot be read.
 */
#define MPFLAGS_INVALID_CONFIG 20

/**
 * The context is not a JSON object.
 */
#define MPFLAGS_INVALID_CONTEXT 21

/**
 * The definitions are unreadable as a whole.
 */
#define MPFLAGS_INVALID_DEFINITIONS 22

/**
 * Mixpanel refused the credentials: HTTP 401 or 403.
 */
#define MPFLAGS_CREDENTIALS_REFUSED 30

/**
 * Mixpanel could not be reached, or its answer was of no use.
 */
#define MPFLAGS_BACKEND 31

/**
 * The event queue is full; the event was dropped and counted.
 */
#define MPFLAGS_QUEUE_FULL 32

/**
 * The time given has passed.
 */
#define MPFLAGS_TIMEOUT 40

/**
 * The client is shut down.
 */
#define MPFLAGS_CLOSED 41

/**
 * The operating system refused a thread, a file or memory.
 */
#define MPFLAGS_SYSTEM 50

/**
 * The library failed in a way that is a bug of it. The call had no effect that can be relied on; other calls work.
 */
#define MPFLAGS_PANIC 60

/**
 * Anything else; the error's message tells.
 */
#define MPFLAGS_GENERAL 90

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Tells the `MPFLAGS_ABI_VERSION` that the library was built with.
 *
 * A program that loads the library at run time calls this and `mpflags_abi_revision` before anything else, and goes
 * on only with the same version and a revision that is not smaller than its header's.
 *
 * Nothing to free. Cannot fail. Any thread. Costs nothing.
 */
uint32_t mpflags_abi_version(void);

/**
 * Tells the `MPFLAGS_ABI_REVISION` that the library was built with.
 *
 * Nothing to free. Cannot fail. Any thread. Costs nothing.
 */
uint32_t mpflags_abi_revision(void);

/**
 * Tells the release of the library, as in `"0.1.0"`.
 *
 * Nothing to free: the string is static. Cannot fail. Any thread. Costs nothing.
 */
mpflags_str mpflags_version(void);

/**
 * Tells the status that the function returned; `MPFLAGS_OK` for NULL.
 *
 * Nothing to free. Cannot fail. Any thread. Costs nothing.
 */
mpflags_status mpflags_error_status(const mpflags_error *error);

/**
 * Tells what is wrong, for a person or a log: no token, secret or URL query is in it.
 *
 * Nothing to free: the string is the error's. Cannot fail: no string for NULL. Any thread. Costs nothing.
 */
mpflags_str mpflags_error_message(const mpflags_error *error);

/**
 * Frees an error; NULL does nothing.
 *
 * Its strings go with it. Cannot fail. Any thread, when no other uses it. Costs little.
 */
void mpflags_error_free(mpflags_error *error);

/**
 * Makes a client of a configuration: a JSON object whose keys the README lists, `token` among them. It can evaluate
 * what the configuration brings (`definitions`, `definitions_path`, `overrides`) and opens no connection before
 * `mpflags_client_start`. The first client of a process registers the fork handler and the panic hook.
 *
 * The caller frees `*out` with `mpflags_client_free`. On failure `*out` is as it was: `MPFLAGS_INVALID_CONFIG` for an
 * unknown key, a wrong type, a value out of range or a file that cannot be read, with a message that names the key.
 * Any thread. Costs the reading of the files that the configuration names and of the definitions: 10 ms for 1,000
 * flags.
 */
mpflags_status mpflags_client_new(const char *config,
                                  size_t config_len,
                                  mpflags_client **out,
                                  mpflags_error **err);

/**
 * Starts the client's threads, and returns at once. Starting a started client does nothing; one that was shut down
 * starts anew. With definitions in the configuration and `enable_polling` off nothing is fetched.
 *
 * Nothing to free. On failure nothing is started: `MPFLAGS_SYSTEM` when there is no thread to be had. Any thread.
 * Costs the start of two threads.
 */
mpflags_status mpflags_client_start(const mpflags_client *client,
                                    mpflags_error **err);

/**
 * Waits until there is something to evaluate. The time covers all retries; 0 only looks, `MPFLAGS_TIMEOUT_CONFIGURED`
 * is `init_timeout_ms`.
 *
 * Nothing to free. On failure polling goes on, and the message tells the last fetch's error: `MPFLAGS_TIMEOUT` when the
 * time has passed, `MPFLAGS_CREDENTIALS_REFUSED` as soon as Mixpanel answers 401 or 403, `MPFLAGS_CLOSED` when the
 * client is shut down, `MPFLAGS_INVALID_ARGUMENT` when it was never started. Any thread. Sleeps, at most `timeout_ms`.
 */
mpflags_status mpflags_client_wait_ready(const mpflags_client *client,
                                         uint32_t timeout_ms,
                                         mpflags_error **err);

/**
 * Fetches the definitions now, whatever `enable_polling` says, and waits until that fetch has ended. 0 starts the fetch
 * and does not wait; `MPFLAGS_TIMEOUT_CONFIGURED` is `request_timeout_ms`. Callers that wait at the same time share one
 * fetch, which begins after the call and on a new connection. A pause between retries is cut short; the next poll comes
 * an interval later. A remote client has nothing to fetch: the call succeeds at once.
 *
 * Nothing to free. On failure the definitions held stay in service, and the message has the last fetch's error:
 * `MPFLAGS_BACKEND` or `MPFLAGS_CREDENTIALS_REFUSED` when the fetch fails, `MPFLAGS_TIMEOUT` when the time has passed,
 * after which the fetch goes on, `MPFLAGS_CLOSED` when the client is or gets shut down, `MPFLAGS_SYSTEM` when there is
 * no thread to be had, `MPFLAGS_INVALID_ARGUMENT` before the start, and in a callback unless the time is 0. Any thread.
 * Sleeps, at most `timeout_ms`; the first call of a client that polls nothing starts a thread.
 */
mpflags_status mpflags_client_refresh(const mpflags_client *client,
                                      uint32_t timeout_ms,
                                      mpflags_error **err);

/**
 * Tells whether the client can evaluate: one of `MPFLAGS_STATE_*`.
 *
 * Nothing to free. Cannot fail. Any thread. Takes one short lock.
 */
int32_t mpflags_client_state(const mpflags_client *client);

/**
 * Returns a timeout of the client's configuration in milliseconds, or its default where the configuration has none.
 * `which` is `MPFLAGS_TIMEOUT_INIT`, `MPFLAGS_TIMEOUT_REQUEST` or `MPFLAGS_TIMEOUT_SHUTDOWN`.
 *
 * Nothing to free. Cannot fail: 0 for NULL and for any other number. Any thread. Costs nothing.
 */
uint32_t mpflags_client_timeout(const mpflags_client *client,
                                uint32_t which);

/**
 * Delivers the events that are enqueued, ends the client's threads, and ends `mpflags_client_wait_ready` and
 * `mpflags_client_refresh` with `MPFLAGS_CLOSED`. Requests under way are interrupted when the time is over.
 * `undelivered` may be NULL; it takes how many events were lost. Items that wait are delivered: `mpflags_client_next_item`
 * gives them before `MPFLAGS_CLOSED`, a callback gets them before its `drop` is called. The last one is a warning when
 * events were lost, with their number and the reason. With `event_sink` events that wait are among them, and not lost.
 * Evaluations go on with the definitions held, without exposures. Shutting down twice is fine.
 *
 * Nothing to free; the client is still to be freed. The one failure but misuse is `MPFLAGS_TIMEOUT`, with
 * `*undelivered` as it was: a thread is inside a name look-up, a connect or the callback for longer; it is left behind,
 * and ends when that does. Any thread but a callback's; from `atexit` and static destructors too. Sleeps until the threads have
 * ended, at most `timeout_ms`; `MPFLAGS_TIMEOUT_CONFIGURED` is `shutdown_timeout_ms`.
 */
mpflags_status mpflags_client_shutdown(const mpflags_client *client,
                                       uint32_t timeout_ms,
                                       uint64_t *undelivered,
                                       mpflags_error **err);

/**
 * Frees a client; NULL does nothing. One that is not shut down is shut down first, within a second, or
 * `shutdown_timeout_ms` of its configuration if that is less; a callback hears what was lost. One that is shut down is
 * freed at once, even if a thread was left behind.
 *
 * Contexts, evaluations, items and errors made with it stay valid. Cannot fail. Any thread but a callback's, when no
 * other call with this client is running; a callback counts as a call, so a client with a callback is shut down before.
 * Sleeps at most that long; frees the definitions.
 */
void mpflags_client_free(mpflags_client *client);

/**
 * Makes a context of a JSON object. `distinct_id` names the user, `custom_properties` is what rules see, and a flag may
 * be bucketed by any other top-level key. Integers and doubles stay distinct. The text is not kept.
 *
 * A number beyond a double (`1e999`), a lone surrogate and nesting beyond 127 levels cannot be used. They spoil the flags that
 * read them, which give INVALID_CONTEXT and name the attribute; the others are evaluated without. A remote client sends the whole
 * context, so there they spoil every flag.
 *
 * The caller frees `*out` with `mpflags_context_free`; it may outlive every client. On failure `*out` is as it was:
 * `MPFLAGS_INVALID_CONTEXT` for anything but a JSON object, with a message that says where. Any thread. Costs the
 * parsing of the whole text: worth it for a context that is used more than once.
 */
mpflags_status mpflags_context_new_json(const char *json,
                                        size_t json_len,
                                        mpflags_context **out,
                                        mpflags_error **err);

/**
 * Frees a context; NULL does nothing.
 *
 * Evaluations made with it stay valid. Cannot fail. Any thread, when no other uses it. Costs little.
 */
void mpflags_context_free(mpflags_context *context);

/**
 * Evaluates flag `key` and gives its value if that is a boolean, and `default_value != 0` in every other case, misuse
 * included. A NULL context is the empty one.
 *
 * Nothing to free. Cannot fail. Any thread. Costs no lock, system call or allocation, but for the thread's first
 * evaluation and a first exposure.
 */
bool mpflags_client_get_boolean(const mpflags_client *client,
                                const char *key,
                                size_t key_len,
                                const mpflags_context *context,
                                int32_t default_value);

/**
 * Evaluates flag `key` and gives its value if that is an integer or a whole number within `int64_t`, and
 * `default_value` in every other case, misuse included. A NULL context is the empty one.
 *
 * Nothing to free. Cannot fail. Any thread. Costs no lock, system call or allocation, but for the thread's first
 * evaluation and a first exposure.
 */
int64_t mpflags_client_get_int64(const mpflags_client *client,
                                 const char *key,
                                 size_t key_len,
                                 const mpflags_context *context,
                                 int64_t default_value);

/**
 * Evaluates flag `key` and gives its value if that is a number, and `default_value` in every other case, misuse
 * included. A NULL context is the empty one.
 *
 * Nothing to free. Cannot fail. Any thread. Costs no lock, system call or allocation, but for the thread's first
 * evaluation and a first exposure.
 */
double mpflags_client_get_double(const mpflags_client *client,
                                 const char *key,
                                 size_t key_len,
                                 const mpflags_context *context,
                                 double default_value);

/**
 * Evaluates flag `key` and tells everything about it: value, variant, reason, and what was wrong. `value_type` is one
 * of `MPFLAGS_TYPE_*`: a value of another type is an outcome with `MPFLAGS_ERROR_TYPE_MISMATCH`. `options` is 0 or
 * `MPFLAGS_OPTION_*`, joined by `|`. `timeout_ms` bounds the request of a remote client, look-up and connect included; 0
 * means `request_timeout_ms`. A NULL context is the empty one. Every outcome is a success here, a flag that is not found too.
 *
 * The caller frees `*out` with `mpflags_evaluation_free`; it may outlive the client. On failure, which only misuse and
 * bugs of the library are, `*out` is as it was: `MPFLAGS_INVALID_ARGUMENT` for an unknown type, `MPFLAGS_UNKNOWN_BIT`.
 * Any thread. Costs the allocation of the evaluation, and no lock or system call but for a first exposure; of a remote
 * client a request.
 */
mpflags_status mpflags_client_evaluate(const mpflags_client *client,
                                       const char *key,
                                       size_t key_len,
                                       const mpflags_context *context,
                                       uint32_t value_type,
                                       uint32_t options,
                                       uint32_t timeout_ms,
                                       mpflags_evaluation **out,
                                       mpflags_error **err);

/**
 * Tells how flag `key` comes to what it gives for `context`, as a JSON object for people and tools: `flag`, `step` (what
 * decided), `subject`, `rollouts` (each that was asked: salt, bucket, percentage, the rule with the value of its parts),
 * `choice` (the split's table with its bucket, or the one variant that is left), and what came out: `variant`, `value`,
 * `reason`, `error_code`, `message`, `metadata`. Reports no exposure. A NULL context is the empty one.
 *
 * The caller frees `*out` with `mpflags_text_free`. On failure `*out` is as it was: `MPFLAGS_INVALID_ARGUMENT` for a remote
 * client, for which Mixpanel decides, unless the flag is overridden. Any thread. Costs many times what an evaluation does.
 */
mpflags_status mpflags_client_explain(const mpflags_client *client,
                                      const char *key,
                                      size_t key_len,
                                      const mpflags_context *context,
                                      mpflags_text **out,
                                      mpflags_error **err);

/**
 * Gives flag `key` the value `json`, any JSON value, from now on, whatever Mixpanel says. It replaces an earlier
 * override, one of the configuration too.
 *
 * Nothing to free. On failure the override is as it was: `MPFLAGS_INVALID_ARGUMENT` when `json` is no JSON value. Any
 * thread; evaluations that run see the old or the new. Costs a copy of all overrides: for tests and tools.
 */
mpflags_status mpflags_client_set_override(const mpflags_client *client,
                                           const char *key,
                                           size_t key_len,
                                           const char *json,
                                           size_t json_len,
                                           mpflags_error **err);

/**
 * Takes back the override of flag `key`, one of the configuration too. Without one it does nothing.
 *
 * Nothing to free. On failure, which only misuse is, nothing has changed. Any thread. Costs a copy of all overrides.
 */
mpflags_status mpflags_client_clear_override(const mpflags_client *client,
                                             const char *key,
                                             size_t key_len,
                                             mpflags_error **err);

/**
 * Tells whether there is a value of the type asked for. If not, the caller's default applies.
 *
 * Nothing to free. Cannot fail: false for NULL. Any thread. Costs nothing.
 */
bool mpflags_evaluation_has_value(const mpflags_evaluation *evaluation);

/**
 * Tells what kind of JSON the value is: one of `MPFLAGS_KIND_*`.
 *
 * Nothing to free. Cannot fail: `MPFLAGS_KIND_NONE` without a value. Any thread. Costs nothing.
 */
int32_t mpflags_evaluation_kind(const mpflags_evaluation *evaluation);

/**
 * Tells the value, if it is a boolean.
 *
 * Nothing to free. Cannot fail: false for any other. Any thread. Costs nothing.
 */
bool mpflags_evaluation_boolean(const mpflags_evaluation *evaluation);

/**
 * Tells the value, if it is an integer, or a whole number, within `int64_t`.
 *
 * Nothing to free. Cannot fail: 0 for any other. Any thread. Costs nothing.
 */
int64_t mpflags_evaluation_int64(const mpflags_evaluation *evaluation);

/**
 * Tells the value, if it is a number.
 *
 * Nothing to free. Cannot fail: 0 for any other. Any thread. Costs nothing.
 */
double mpflags_evaluation_double(const mpflags_evaluation *evaluation);

/**
 * Tells the value, if it is a string.
 *
 * Nothing to free: the string is the evaluation's. Cannot fail: no string for any other. Any thread. Costs nothing.
 */
mpflags_str mpflags_evaluation_string(const mpflags_evaluation *evaluation);

/**
 * Tells the value, whatever it is, as compact JSON.
 *
 * Nothing to free: the string is the evaluation's. Cannot fail: no string without a value. Any thread. Costs nothing.
 */
mpflags_str mpflags_evaluation_json(const mpflags_evaluation *evaluation);

/**
 * Tells the variant's key; `override` for an override.
 *
 * Nothing to free: the string is the evaluation's. Cannot fail: no string without a value. Any thread. Costs nothing.
 */
mpflags_str mpflags_evaluation_variant(const mpflags_evaluation *evaluation);

/**
 * Tells why the evaluation gave what it gave: one of `MPFLAGS_REASON_*`, which are OpenFeature's.
 *
 * Nothing to free. Cannot fail: `MPFLAGS_REASON_UNKNOWN` for NULL. Any thread. Costs nothing.
 */
int32_t mpflags_evaluation_reason(const mpflags_evaluation *evaluation);

/**
 * Tells what is wrong when the reason is `MPFLAGS_REASON_ERROR`: one of `MPFLAGS_ERROR_*`, which are OpenFeature's.
 *
 * Nothing to free. Cannot fail: `MPFLAGS_ERROR_NONE` where nothing is wrong. Any thread. Costs nothing.
 */
int32_t mpflags_evaluation_error_code(const mpflags_evaluation *evaluation);

/**
 * Tells what is wrong, for a person or a log.
 *
 * Nothing to free: the string is the evaluation's. Cannot fail: no string where nothing is wrong. Any thread. Costs
 * nothing.
 */
mpflags_str mpflags_evaluation_message(const mpflags_evaluation *evaluation);

/**
 * Tells the key of the flag.
 *
 * Nothing to free: the string is the evaluation's. Cannot fail: no string for NULL. Any thread. Costs nothing.
 */
mpflags_str mpflags_evaluation_key(const mpflags_evaluation *evaluation);

/**
 * Tells the experiment that the flag belongs to.
 *
 * Nothing to free: the string is the evaluation's. Cannot fail: no string without an experiment or a value. Any thread.
 * Costs nothing.
 */
mpflags_str mpflags_evaluation_experiment_id(const mpflags_evaluation *evaluation);

/**
 * Tells whether that experiment is active: one of `MPFLAGS_EXPERIMENT_*`.
 *
 * Nothing to free. Cannot fail: `MPFLAGS_EXPERIMENT_UNKNOWN` where nothing is known. Any thread. Costs nothing.
 */
int32_t mpflags_evaluation_is_experiment_active(const mpflags_evaluation *evaluation);

/**
 * Tells whether the user got the variant as a QA tester.
 *
 * Nothing to free. Cannot fail: false for NULL. Any thread. Costs nothing.
 */
bool mpflags_evaluation_is_qa_tester(const mpflags_evaluation *evaluation);

/**
 * Tells the flag's metadata as a JSON object: `experiment_id` and `is_experiment_active` where the flag has them,
 * `is_qa_tester` where it is true, and `unsupported` where the definition uses what the library does not know or cannot check: the
 * names of those operators and fields, separated by commas.
 *
 * Nothing to free: the string is the evaluation's. Cannot fail: no string for NULL. Any thread. Costs nothing.
 */
mpflags_str mpflags_evaluation_metadata_json(const mpflags_evaluation *evaluation);

/**
 * Frees an evaluation; NULL does nothing.
 *
 * Its strings go with it. Cannot fail. Any thread, when no other uses it. Costs little.
 */
void mpflags_evaluation_free(mpflags_evaluation *evaluation);

/**
 * Evaluates every flag: of a local client all that it holds, of a remote one those that the user is in, with one
 * request; and the overrides. Reports no exposure: `mpflags_client_track_exposure` does, for what is shown. `options` is
 * 0. `timeout_ms` bounds the request of a remote client; 0 means `request_timeout_ms`. A NULL context is the empty one.
 *
 * The caller frees `*out` with `mpflags_evaluations_free`; it may outlive the client. Without an answer or definitions
 * there are only the overrides, and `mpflags_evaluations_failure` tells why: that is no failure here. On failure, which
 * only misuse and bugs of the library are, `*out` is as it was. Any thread. Costs the allocation of each evaluation; of
 * a remote client a request.
 */
mpflags_status mpflags_client_evaluate_all(const mpflags_client *client,
                                           const mpflags_context *context,
                                           uint32_t options,
                                           uint32_t timeout_ms,
                                           mpflags_evaluations **out,
                                           mpflags_error **err);

/**
 * Tells how many evaluations there are.
 *
 * Nothing to free. Cannot fail: 0 for NULL. Any thread. Costs nothing.
 */
size_t mpflags_evaluations_count(const mpflags_evaluations *evaluations);

/**
 * Tells the evaluation at `index`, from 0 on, in order of key.
 *
 * Nothing to free: it belongs to the evaluations. Cannot fail: NULL beyond the last. Any thread. Costs nothing.
 */
const mpflags_evaluation *mpflags_evaluations_at(const mpflags_evaluations *evaluations,
                                                 size_t index);

/**
 * Tells the evaluation of flag `key`.
 *
 * Nothing to free: it belongs to the evaluations. Cannot fail: NULL when there is none, and for misuse. Any thread. Costs
 * a search.
 */
const mpflags_evaluation *mpflags_evaluations_find(const mpflags_evaluations *evaluations,
                                                   const char *key,
                                                   size_t key_len);

/**
 * Tells why there are no evaluations but overrides: one of `MPFLAGS_ERROR_*`, `MPFLAGS_ERROR_NONE` when nothing is wrong.
 *
 * Nothing to free. Cannot fail: `MPFLAGS_ERROR_NONE` for NULL. Any thread. Costs nothing.
 */
int32_t mpflags_evaluations_failure(const mpflags_evaluations *evaluations);

/**
 * Tells the same in words.
 *
 * Nothing to free: the string belongs to the evaluations. Cannot fail: no string where nothing is wrong. Any thread.
 * Costs nothing.
 */
mpflags_str mpflags_evaluations_message(const mpflags_evaluations *evaluations);

/**
 * Frees evaluations; NULL does nothing.
 *
 * The single ones and their strings go with them. Cannot fail. Any thread, when no other uses them. Costs little.
 */
void mpflags_evaluations_free(mpflags_evaluations *evaluations);

/**
 * Reports that the variant of `evaluation` was shown, unless the same exposure was reported within
 * `exposure_window_ms`: for an evaluation made with `MPFLAGS_OPTION_NO_EXPOSURE`, or one of
 * `mpflags_client_evaluate_all`. Only enqueues.
 *
 * Nothing to free. On failure nothing is reported: `MPFLAGS_INVALID_ARGUMENT` when the evaluation assigned no variant, is
 * an override or an `MPFLAGS_ERROR_TYPE_MISMATCH`, or its context had no distinct_id, `MPFLAGS_QUEUE_FULL`, counted too, and `MPFLAGS_CLOSED` after shutdown. Any thread.
 * Costs one short lock.
 */
mpflags_status mpflags_client_track_exposure(const mpflags_client *client,
                                             const mpflags_evaluation *evaluation,
                                             mpflags_error **err);

/**
 * Sends the event `event` of user `distinct_id`, with the members of `properties`, a JSON object; NULL with length 0 is
 * none. An empty `distinct_id`, which NULL with length 0 is too, means that no user is known: the properties must have
 * a `$device_id` then, a non-empty string. `time` and `$insert_id` among the properties replace the library's: `time` is
 * a number of seconds or milliseconds since 1970, or an RFC 3339 string, from 1971 on; `$insert_id` a string of 1 to 36
 * ASCII letters, digits or `-`. Only enqueues.
 *
 * Nothing to free. On failure nothing is sent: `MPFLAGS_INVALID_ARGUMENT` when the name is empty, the user is and there is
 * no `$device_id`, `time` or `$insert_id` is another, or the properties are not a JSON object or larger than 1 MiB, `MPFLAGS_QUEUE_FULL`, counted too, and `MPFLAGS_CLOSED` after shutdown. Any thread.
 * Costs the reading of the properties and one short lock.
 */
mpflags_status mpflags_client_track(const mpflags_client *client,
                                    const char *event,
                                    size_t event_len,
                                    const char *distinct_id,
                                    size_t distinct_id_len,
                                    const char *properties,
                                    size_t properties_len,
                                    mpflags_error **err);

/**
 * Changes the profile of user `distinct_id`. `operation` is `$set`, `$set_once`, `$add`, `$append`, `$union` or `$remove`
 * with a JSON object, `$unset` with an array of names, or `$delete` with null. An empty `distinct_id`, which NULL with
 * length 0 is too, is an error. Only enqueues.
 *
 * Nothing to free. On failure nothing is sent: `MPFLAGS_INVALID_ARGUMENT` when `distinct_id` is empty, the operation is
 * unknown or `json` is not what it takes, `MPFLAGS_QUEUE_FULL`, counted too, and `MPFLAGS_CLOSED` after shutdown. Any thread. Costs the reading of the JSON and one short lock.
 */
mpflags_status mpflags_client_people_update(const mpflags_client *client,
                                            const char *operation,
                                            size_t operation_len,
                                            const char *distinct_id,
                                            size_t distinct_id_len,
                                            const char *json,
                                            size_t json_len,
                                            mpflags_error **err);

/**
 * Sends what is enqueued, and waits until Mixpanel has it. A pause between retries is cut short: it tries at once, and
 * then every second. `undelivered` may be NULL; it takes how many events are still enqueued when `timeout_ms` is over.
 *
 * Nothing to free. On failure `*undelivered` is as it was: `MPFLAGS_CLOSED` after shutdown. Time that ran out is no
 * failure. Any thread. Sleeps, at most `timeout_ms`.
 */
mpflags_status mpflags_client_flush(const mpflags_client *client,
                                    uint32_t timeout_ms,
                                    uint64_t *undelivered,
                                    mpflags_error **err);

/**
 * Tells what became of events, as a JSON object: `enqueued`, `sent`, `deduplicated`, `dropped` (`queue_full`, `rejected`,
 * `shutdown`), `without_distinct_id`, `queue_length`, `remote_in_flight` (remote evaluations under way, whether or not
 * anybody waits for them), `last_error` with its `message` and `time` (ms since 1970), or null, `unsupported`: how many flags use
 * operators or restrictions that the library does not know or cannot check (`count`), and their names by flag (`flags`, the first
 * 64), and `unusable_attributes`: how many evaluations had a context with an attribute that cannot be used.
 *
 * The caller frees `*out` with `mpflags_text_free`. On failure, which only misuse is, `*out` is as it was. Any thread.
 * Costs one short lock and the making of the text.
 */
mpflags_status mpflags_client_statistics(const mpflags_client *client,
                                         mpflags_text **out,
                                         mpflags_error **err);

/**
 * Tells the text.
 *
 * Nothing to free: the string is the text's. Cannot fail: no string for NULL. Any thread. Costs nothing.
 */
mpflags_str mpflags_text_view(const mpflags_text *text);

/**
 * Frees a text; NULL does nothing.
 *
 * Its string goes with it. Cannot fail. Any thread, when no other uses it. Costs little.
 */
void mpflags_text_free(mpflags_text *text);

/**
 * Takes the next item, and waits for it if there is none; 0 only looks. What nobody takes is bounded: the oldest log
 * lines go, and are counted in a line of their own. One thread takes items.
 *
 * The caller frees `*out` with `mpflags_item_free`; it may outlive the client. On failure `*out` is as it was:
 * `MPFLAGS_TIMEOUT` when none came, `MPFLAGS_CLOSED` when the client is or gets shut down and no item waits any more,
 * `MPFLAGS_INVALID_ARGUMENT` when the items go to a callback. Any thread, one at a time. Sleeps, at most `timeout_ms`.
 */
mpflags_status mpflags_client_next_item(const mpflags_client *client,
                                        uint32_t timeout_ms,
                                        mpflags_item **out,
                                        mpflags_error **err);

/**
 * Tells what an item is: one of `MPFLAGS_ITEM_*`. A program passes over kinds that it does not know.
 *
 * Nothing to free. Cannot fail: `MPFLAGS_ITEM_NONE` for NULL. Any thread. Costs nothing.
 */
int32_t mpflags_item_kind(const mpflags_item *item);

/**
 * Tells how much a log line matters: one of `MPFLAGS_LEVEL_*`.
 *
 * Nothing to free. Cannot fail: `MPFLAGS_LEVEL_NONE` for any other item. Any thread. Costs nothing.
 */
int32_t mpflags_item_level(const mpflags_item *item);

/**
 * Tells the new state: one of `MPFLAGS_STATE_*`.
 *
 * Nothing to free. Cannot fail: `MPFLAGS_STATE_NONE` for any other item. Any thread. Costs nothing.
 */
int32_t mpflags_item_state(const mpflags_item *item);

/**
 * Tells the log line, without a newline, or what led to the state. No token or secret is in it.
 *
 * Nothing to free: the string is the item's. Cannot fail: no string where there is none. Any thread. Costs nothing.
 */
mpflags_str mpflags_item_message(const mpflags_item *item);

/**
 * Tells how many flags a change names.
 *
 * Nothing to free. Cannot fail: 0 for any other item. Any thread. Costs nothing.
 */
size_t mpflags_item_key_count(const mpflags_item *item);

/**
 * Tells the key of a flag that has changed; they are in order, from 0 on.
 *
 * Nothing to free: the string is the item's. Cannot fail: no string beyond the last. Any thread. Costs nothing.
 */
mpflags_str mpflags_item_key(const mpflags_item *item,
                             size_t index);

/**
 * Tells the event as JSON, as Mixpanel takes it.
 *
 * Nothing to free: the string is the item's. Cannot fail: no string for any other item. Any thread. Costs nothing.
 */
mpflags_str mpflags_item_event(const mpflags_item *item);

/**
 * Frees an item that `mpflags_client_next_item` gave; NULL does nothing. A callback's item is not the callback's to free.
 *
 * Its strings go with it. Cannot fail. Any thread, when no other uses it. Costs little.
 */
void mpflags_item_free(mpflags_item *item);

/**
 * Hands every item to `callback` instead of `mpflags_client_next_item`, from `mpflags_client_start` on: one at a time, in
 * order, on the thread `mpflags-poll`, with all signals blocked. The callback may call every function of this library
 * but `mpflags_client_shutdown` and `mpflags_client_free` with this client. While it runs nothing is polled. Set it
 * once, before the client is started.
 *
 * `drop` may be NULL. It is called once with `user_data` when nothing will be handed over any more: by the shutdown or
 * the freeing of the client, after the items that waited, on that thread or on `mpflags-poll`. In the child of a fork it need not be called. On
 * failure nothing has changed, `drop` is not called and `user_data` stays the caller's: `MPFLAGS_INVALID_ARGUMENT` when
 * the client is started or has a callback. Any thread. Costs little.
 */
mpflags_status mpflags_client_on_item(const mpflags_client *client,
                                      mpflags_callback callback,
                                      void *user_data,
                                      mpflags_drop drop,
                                      mpflags_error **err);

/**
 * ---------------------------------------------------------------------------------------------------------------
 * FOR BINDINGS. What stands from here on is called by this project's own bindings. It may change with any revision:
 * call it only if `mpflags_abi_revision()` is exactly the `MPFLAGS_ABI_REVISION` of this header.
 * ---------------------------------------------------------------------------------------------------------------
 *
 * Does `mpflags_client_evaluate` for a context that is used once: it is read from its encoding and not kept. `encoding`
 * is `MPFLAGS_ENCODING_JSON`. NULL with length 0 is the empty context. A context that cannot be read is an outcome
 * with `MPFLAGS_ERROR_INVALID_CONTEXT`, unless an override answers before it is read.
 *
 * The caller frees `*out` with `mpflags_evaluation_free`; it may outlive the client. On failure, which only misuse and
 * bugs of the library are, `*out` is as it was: `MPFLAGS_INVALID_ARGUMENT` for an unknown type or encoding,
 * `MPFLAGS_UNKNOWN_BIT`. Any thread. Costs what `mpflags_client_evaluate` does and a reading of the whole context, of
 * which only what the flag asks for is kept.
 */
mpflags_status mpflags_client_evaluate_encoded(const mpflags_client *client,
                                               const char *key,
                                               size_t key_len,
                                               const char *context,
                                               size_t context_len,
                                               int32_t encoding,
                                               uint32_t value_type,
                                               uint32_t options,
                                               uint32_t timeout_ms,
                                               mpflags_evaluation **out,
                                               mpflags_error **err);

/**
 * Does `mpflags_client_evaluate_encoded` for a JSON context and tells the outcome in one number. `ask` is the
 * `value_type`, with the options eight bits higher: `MPFLAGS_TYPE_BOOLEAN | MPFLAGS_OPTION_NO_EXPOSURE << 8`. A remote
 * client's request has `request_timeout_ms`.
 *
 * An odd number is an answer: `MPFLAGS_ANSWER_NO_MATCH`, `MPFLAGS_ANSWER_DISABLED`, or one that stands for a
 * definition of the flag, variant, reason and tester mark. As long as the client lives, the same answer means the same
 * value, variant, reason and metadata, which `mpflags_client_answer` tells; whether the value is of the type asked for has
 * been looked at. Any other number but 0 is a pointer to an `mpflags_evaluation`, which the caller frees with
 * `mpflags_evaluation_free`: an error, an override, an answer of Mixpanel, or the first call in the child of a fork. A failure is 0: misuse (NULL, no UTF-8, an
 * unknown type or option) or a bug of the library; `mpflags_client_evaluate_encoded` with the same arguments tells which. Any thread. Costs what
 * `mpflags_client_evaluate_encoded` does, without the allocation where there is an answer.
 */
uint64_t mpflags_client_evaluate_packed(const mpflags_client *client,
                                        const char *key,
                                        size_t key_len,
                                        const char *context,
                                        size_t context_len,
                                        uint32_t ask);

/**
 * Does `mpflags_client_evaluate_packed` for strings that end with a NUL, since ctypes takes 0.2 µs to pass two
 * lengths. A NULL context is the empty one.
 *
 * The caller frees what a number that is no answer points to. Cannot ask for a key that holds U+0000, and fails as
 * `mpflags_client_evaluate_packed` does. Any thread. Costs the same, and the search for the NULs.
 */
uint64_t mpflags_client_evaluate_packed_z(const mpflags_client *client,
                                          const char *key,
                                          const char *context,
                                          uint32_t ask);

/**
 * Tells what `answer`, given for flag `key`, stands for, as an evaluation of any type. The evaluation tells no user:
 * `mpflags_client_track_exposure` refuses it.
 *
 * The caller frees it with `mpflags_evaluation_free`. On failure it is NULL: another definition has taken the flag's place
 * since, the arguments are misused, or the library has a bug. Evaluate again then. Any thread. Costs the allocation of
 * the evaluation.
 */
mpflags_evaluation *mpflags_client_answer(const mpflags_client *client,
                                          const char *key,
                                          size_t key_len,
                                          uint64_t answer);

/**
 * Tells the answer that stands for an evaluation; 0 where none does.
 *
 * Nothing to free. Cannot fail: 0 for NULL. Any thread. Costs nothing.
 */
uint64_t mpflags_evaluation_answer(const mpflags_evaluation *evaluation);

/**
 * Tells the answers of all evaluations, in the same order, `mpflags_evaluations_count` of them; 0 where there is none.
 *
 * Nothing to free: they belong to the evaluations. Cannot fail: NULL where there are none. Any thread. Costs nothing.
 */
const uint64_t *mpflags_evaluations_answers(const mpflags_evaluations *evaluations);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MPFLAGS_H */
