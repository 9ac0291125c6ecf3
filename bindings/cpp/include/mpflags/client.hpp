/* mpflags/client.hpp: Mixpanel feature flags for C++17. Header only; link libmpflags.
 *
 *   mpflags::Client client({{"token", "YOUR_PROJECT_TOKEN"}});
 *   client.start();
 *   client.wait_ready(std::chrono::seconds(10));
 *   mpflags::Context user({{"distinct_id", "user-1"}});
 *   bool on = client.get_boolean("new-checkout", user, false);
 *
 * Ownership. Client, Context, Evaluation, Evaluations and Item own a handle of the library. They can be moved but not
 * copied. A moved-from client returns defaults, and its other functions throw `NullArgument`. A moved-from context is
 * empty; a moved-from evaluation or item has no value. All of them can be assigned to, and self-move has no effect.
 *
 * Exceptions. Functions that fail throw mpflags::Error with the library's status and message, or std::bad_alloc when
 * out of memory. Functions marked noexcept return their default instead. A flag that is missing, disabled or
 * malformed is not an error. Exceptions from a callback are caught; see `Client::on_item`.
 *
 * Threads. Any number of threads may call const functions at the same time. While an object is moved, assigned or
 * destroyed, no other thread may use it.
 *
 * See also the comment at the top of mpflags.h.
 */
#ifndef MPFLAGS_CLIENT_HPP
#define MPFLAGS_CLIENT_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mpflags.h"
#include "mpflags/context.hpp"
#include "mpflags/error.hpp"
#include "mpflags/evaluation.hpp"
#include "mpflags/names.hpp"
#include "mpflags/value.hpp"

namespace mpflags {

/** The release of the library, as in "0.1.0". */
inline std::string_view version() noexcept { return detail::view(mpflags_version()); }

struct EvaluateOptions {
    /** If false, no exposure is reported. Call `Client::track_exposure` once the user sees the variant. */
    bool report_exposure = true;
    /** Limits the request of a remote client; 0 means its request_timeout_ms. */
    std::chrono::milliseconds timeout{0};
};

/** The ID of a user. A null `const char*`, as from getenv, is the empty string. */
class UserId {
  public:
    UserId(std::string_view text) noexcept : text_(text) {}
    UserId(const std::string& text) noexcept : text_(text) {}
    UserId(const char* text) noexcept : text_(text == nullptr ? std::string_view() : std::string_view(text)) {}
    UserId(std::nullptr_t) = delete;

    const char* data() const noexcept { return text_.data(); }
    std::size_t size() const noexcept { return text_.size(); }

  private:
    std::string_view text_;
};

namespace detail {

inline std::uint32_t milliseconds(std::chrono::milliseconds time) noexcept {
    const auto count = time.count();
    if (count < 0) return 0;
    /* The greatest number is not a time but MPFLAGS_TIMEOUT_CONFIGURED. */
    constexpr std::uint32_t longest = MPFLAGS_TIMEOUT_CONFIGURED - 1;
    return count > longest ? longest : static_cast<std::uint32_t>(count);
}

/* A callback for items, and the number of exceptions that it threw. */
struct Listener {
    std::function<void(const ItemView&)> take;
    std::shared_ptr<std::atomic<std::uint64_t>> thrown;

    static void deliver(const mpflags_item* item, void* self) noexcept {
        const auto* listener = static_cast<const Listener*>(self);
        try {
            listener->take(ItemView(item));
        } catch (...) {
            listener->thrown->fetch_add(1, std::memory_order_relaxed);
        }
    }
    static void drop(void* self) noexcept { delete static_cast<Listener*>(self); }
};

/* A client with a callback must be shut down before it is freed. */
struct ClientFree {
    bool listens = false;
    void operator()(mpflags_client* client) const noexcept {
        if (listens) mpflags_client_shutdown(client, MPFLAGS_TIMEOUT_CONFIGURED, nullptr, nullptr);
        mpflags_client_free(client);
    }
};

/* Adds the name of this client for the User-Agent, unless the program sets one. */
inline std::string with_wrapper(const Object& options) {
    if (json::has_key(options.json(), "wrapper")) return options.json();
    return Object(options).add("wrapper", "cpp/0.1").json();
}

}  // namespace detail

/**
 * Evaluates the flags of one Mixpanel project.
 *
 * The destructor delivers queued events for at most a second, or shutdown_timeout_ms if that is less; a client with a
 * callback always has shutdown_timeout_ms. To wait longer, and to get the number of lost events, call `shutdown` first.
 */
class Client {
  public:
    /** docs/configuration.md lists the options. Until `start` the client opens no connection and evaluates the
     * definitions and overrides in the options. Throws `InvalidConfig`, with a message that names the key. */
    explicit Client(const Object& options) {
        detail::require_library();
        const std::string config = detail::with_wrapper(options);
        owned_.reset(detail::make<mpflags_client>(mpflags_client_new, config.data(), config.size()));
    }
    explicit Client(std::initializer_list<Member> options) : Client(Object(options)) {}
    /** The same with the options as JSON. */
    static Client from_json(std::string json) { return Client(Object::from_json(std::move(json))); }

    /** Starts the client's threads and returns at once. Throws `System` if a thread cannot be created. */
    void start() const { detail::call(mpflags_client_start, owned_.get()); }
    /** Blocks until the client has definitions; without an argument, for init_timeout_ms at most. Throws `Timeout`,
     * `CredentialsRefused` or `Closed`. The client keeps polling after a failure. */
    void wait_ready(std::chrono::milliseconds timeout) const {
        detail::call(mpflags_client_wait_ready, owned_.get(), detail::milliseconds(timeout));
    }
    void wait_ready() const { detail::call(mpflags_client_wait_ready, owned_.get(), MPFLAGS_TIMEOUT_CONFIGURED); }
    /** Fetches the definitions now, even if polling is off, and blocks until the fetch has ended; without an argument,
     * for request_timeout_ms at most. With a timeout of 0 it starts the fetch and does not wait. Throws `Backend`,
     * `CredentialsRefused`, `Timeout` or `Closed`, and `InvalidArgument` before `start` and in a callback. After a
     * failure the client keeps its definitions. */
    void refresh(std::chrono::milliseconds timeout) const {
        detail::call(mpflags_client_refresh, owned_.get(), detail::milliseconds(timeout));
    }
    void refresh() const { detail::call(mpflags_client_refresh, owned_.get(), MPFLAGS_TIMEOUT_CONFIGURED); }
    /** Whether the client can evaluate flags. */
    State state() const noexcept { return static_cast<State>(mpflags_client_state(owned_.get())); }

    /** Delivers the queued events and stops the threads; without an argument, within shutdown_timeout_ms. Returns the
     * number of lost events. Not allowed in a callback. */
    std::uint64_t shutdown(std::chrono::milliseconds timeout) const { return end(detail::milliseconds(timeout)); }
    std::uint64_t shutdown() const { return end(MPFLAGS_TIMEOUT_CONFIGURED); }
    /** Sends the queued events and returns how many are still queued at the end of the timeout. */
    std::uint64_t flush(std::chrono::milliseconds timeout) const {
        std::uint64_t left = 0;
        detail::call(mpflags_client_flush, owned_.get(), detail::milliseconds(timeout), &left);
        return left;
    }

    /** The value of the flag if it has one of this type, otherwise the default. */
    bool get_boolean(std::string_view key, const Context& context, bool default_value) const noexcept {
        return mpflags_client_get_boolean(owned_.get(), key.data(), key.size(), context.get(), default_value ? 1 : 0);
    }
    std::int64_t get_int64(std::string_view key, const Context& context, std::int64_t default_value) const noexcept {
        return mpflags_client_get_int64(owned_.get(), key.data(), key.size(), context.get(), default_value);
    }
    double get_double(std::string_view key, const Context& context, double default_value) const noexcept {
        return mpflags_client_get_double(owned_.get(), key.data(), key.size(), context.get(), default_value);
    }
    std::string get_string(std::string_view key, const Context& context, std::string_view default_value) const {
        const auto found = read(key, context, Type::String);
        return std::string(found && found->has_value() ? found->string() : default_value);
    }
    /** The same for an object, an array or null, as JSON. */
    std::string get_json(std::string_view key, const Context& context, std::string_view default_value) const {
        const auto found = read(key, context, Type::Object);
        return std::string(found && found->has_value() ? found->json() : default_value);
    }

    /** Evaluates a flag: its value, variant and reason, and what went wrong. Throws only for misuse, such as a key that
     * is not UTF-8. */
    Evaluation evaluate(std::string_view key, const Context& context, Type type = Type::Any,
                        const EvaluateOptions& options = {}) const {
        return Evaluation(detail::make<mpflags_evaluation>(mpflags_client_evaluate, owned_.get(), key.data(),
                                                           key.size(), context.get(), static_cast<std::uint32_t>(type),
                                                           bits(options), detail::milliseconds(options.timeout)));
    }
    /** The same with a JSON context, which costs less than making a Context that is used once. If the library cannot
     * read the context, the evaluation has the error; with a library of a later ABI revision, this function throws. */
    Evaluation evaluate_json(std::string_view key, std::string_view context, Type type = Type::Any,
                             const EvaluateOptions& options = {}) const {
        if (mpflags_abi_revision() != MPFLAGS_ABI_REVISION) {
            return evaluate(key, Context::from_json(context), type, options);
        }
        return Evaluation(detail::make<mpflags_evaluation>(mpflags_client_evaluate_encoded, owned_.get(), key.data(),
                                                           key.size(), context.data(), context.size(),
                                                           MPFLAGS_ENCODING_JSON, static_cast<std::uint32_t>(type),
                                                           bits(options), detail::milliseconds(options.timeout)));
    }
    /** Evaluates every flag; a remote client returns the flags that the user is in. Reports no exposures. */
    Evaluations evaluate_all(const Context& context, std::chrono::milliseconds timeout = {}) const {
        return Evaluations(detail::make<mpflags_evaluations>(mpflags_client_evaluate_all, owned_.get(), context.get(),
                                                             std::uint32_t{0}, detail::milliseconds(timeout)));
    }

    /** Evaluates flags for every row of a table in Arrow's format; see mpflags_client_evaluate_table, also for the options, a
     * JSON object. Moves `users`, and releases it even if it throws `InvalidArgument`. The caller releases the results, which
     * may outlive the client. */
    ArrowArrayStream evaluate_table(ArrowArrayStream* users, std::string_view options = {}) const {
        ArrowArrayStream results{};
        detail::call(mpflags_client_evaluate_table, owned_.get(), users, options.data(), options.size(), &results);
        return results;
    }

    /** Describes how a flag is evaluated, step by step, as JSON; see mpflags_client_explain. Reports no exposure. */
    std::string explain(std::string_view key, const Context& context) const {
        return taken(
            detail::make<mpflags_text>(mpflags_client_explain, owned_.get(), key.data(), key.size(), context.get()));
    }

    /** Makes a flag return this value for every user, regardless of its definition. */
    void set_override(std::string_view key, const Value& value) const {
        const std::string json = value.json();
        detail::call(mpflags_client_set_override, owned_.get(), key.data(), key.size(), json.data(), json.size());
    }
    /** Removes an override, including one from the options. */
    void clear_override(std::string_view key) const {
        detail::call(mpflags_client_clear_override, owned_.get(), key.data(), key.size());
    }

    /** Queues an exposure for an evaluation that did not report one. Throws `InvalidArgument` (also for a type
     * mismatch, since the user saw the default), `QueueFull` or `Closed`. */
    void track_exposure(EvaluationView shown) const {
        detail::call(mpflags_client_track_exposure, owned_.get(), shown.get());
    }
    /** The same for an evaluation that may be a temporary. */
    void track_exposure(const Evaluation& shown) const { track_exposure(shown.view()); }
    /** Queues an event. If the user is unknown, pass an empty ID and the property `$device_id`. The properties `time`
     * (seconds or milliseconds since 1970, or RFC 3339) and `$insert_id` replace values that the library would set; see
     * mpflags_client_track. Throws `InvalidArgument`, `QueueFull` or `Closed`. */
    void track(std::string_view event, UserId distinct_id, const Object& properties = {}) const {
        const std::string json = properties.json();
        detail::call(mpflags_client_track, owned_.get(), event.data(), event.size(), distinct_id.data(),
                     distinct_id.size(), json.data(), json.size());
    }
    /** Queues an event that happened at `time`, not now. */
    void track(std::string_view event, UserId distinct_id, const Object& properties,
               std::chrono::system_clock::time_point time) const {
        const auto since = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
        track(event, distinct_id, Object(properties).add("time", static_cast<std::int64_t>(since.count())));
    }
    /** Queues a change to a user's profile; see mpflags_client_people_update. Throws like `track`. */
    void people_update(std::string_view operation, UserId distinct_id, const Value& operand) const {
        const std::string json = operand.json();
        detail::call(mpflags_client_people_update, owned_.get(), operation.data(), operation.size(), distinct_id.data(),
                     distinct_id.size(), json.data(), json.size());
    }
    /** Queues a change to the profile of a group; see mpflags_client_group_update. Throws like `track`. */
    void group_update(std::string_view operation, std::string_view group_key, std::string_view group_id,
                      const Value& operand) const {
        const std::string json = operand.json();
        detail::call(mpflags_client_group_update, owned_.get(), operation.data(), operation.size(), group_key.data(),
                     group_key.size(), group_id.data(), group_id.size(), json.data(), json.size());
    }
    /** The client's counters, as JSON; see mpflags_client_statistics. */
    std::string statistics() const {
        return taken(detail::make<mpflags_text>(mpflags_client_statistics, owned_.get()));
    }

    /** Waits for the next item and moves it into `item`. Returns `Ok`, `Timeout`, or, once the client is shut down and
     * all items have been taken, `Closed`.
     *
     *     mpflags::Item item;
     *     for (Status got; (got = client.next_item(item, 1s)) != Status::Closed;) if (got == Status::Ok) follow(item);
     *
     * Throws for misuse. Only one thread may take items. */
    Status next_item(Item& item, std::chrono::milliseconds timeout) const {
        mpflags_item* made = nullptr;
        mpflags_error* error = nullptr;
        const mpflags_status status =
            mpflags_client_next_item(owned_.get(), detail::milliseconds(timeout), &made, &error);
        if (status == MPFLAGS_TIMEOUT || status == MPFLAGS_CLOSED) {
            mpflags_error_free(error);
            return static_cast<Status>(status);
        }
        detail::check(status, error);
        item = Item(made);
        return Status::Ok;
    }
    /** Calls `take` with every item, instead of `next_item`: one at a time, on the thread mpflags-poll. Call this once,
     * before `start`. `take` may use the client, but must neither shut it down nor destroy it. Exceptions are caught
     * and counted by `exceptions_in_callback`. */
    void on_item(std::function<void(const ItemView&)> take) {
        if (!take) throw Error(Status::NullArgument, "on_item needs a function, got an empty one");
        auto listener = std::make_unique<detail::Listener>();
        listener->take = std::move(take);
        listener->thrown = thrown_;
        detail::call(mpflags_client_on_item, owned_.get(), &detail::Listener::deliver, listener.get(),
                     &detail::Listener::drop);
        static_cast<void>(listener.release());
        owned_.get_deleter().listens = true;
    }
    /** The number of exceptions that the callback threw. */
    std::uint64_t exceptions_in_callback() const noexcept {
        return thrown_ ? thrown_->load(std::memory_order_relaxed) : 0;
    }

    mpflags_client* get() const noexcept { return owned_.get(); }

  private:
    std::uint64_t end(std::uint32_t timeout_ms) const {
        std::uint64_t lost = 0;
        detail::call(mpflags_client_shutdown, owned_.get(), timeout_ms, &lost);
        return lost;
    }
    /* nullopt for misuse. */
    std::optional<Evaluation> read(std::string_view key, const Context& context, Type type) const noexcept {
        mpflags_evaluation* made = nullptr;
        mpflags_client_evaluate(owned_.get(), key.data(), key.size(), context.get(), static_cast<std::uint32_t>(type),
                                0, 0, &made, nullptr);
        if (made == nullptr) return std::nullopt;
        return Evaluation(made);
    }
    static std::string taken(mpflags_text* text) {
        const detail::Handle<mpflags_text> held(text);
        return std::string(detail::view(mpflags_text_view(text)));
    }
    static std::uint32_t bits(const EvaluateOptions& options) noexcept {
        return options.report_exposure ? 0 : MPFLAGS_OPTION_NO_EXPOSURE;
    }

    std::shared_ptr<std::atomic<std::uint64_t>> thrown_ = std::make_shared<std::atomic<std::uint64_t>>(0);
    std::unique_ptr<mpflags_client, detail::ClientFree> owned_;
};

}  // namespace mpflags

#endif
