/* mpflags/client.hpp: Mixpanel feature flags for C++17. Header only; link libmpflags.
 *
 *   mpflags::Client client({{"token", "YOUR_PROJECT_TOKEN"}});
 *   client.start();
 *   client.wait_ready(std::chrono::seconds(10));
 *   mpflags::Context user({{"distinct_id", "user-1"}});
 *   bool on = client.get_boolean("new-checkout", user, false);
 *
 * Ownership. Client, Context, Evaluation, Evaluations and Item own a handle of the library: they move and do not copy. A
 * client that has been moved from gives defaults, and its other calls throw `NullArgument`; a context is the empty one;
 * evaluations and items are without a value. All can be assigned to. Moving one to itself leaves it as it is.
 *
 * Exceptions. A call that fails throws mpflags::Error, with the library's status and message; running out of memory
 * throws std::bad_alloc. What is noexcept gives its default instead. A flag that is missing, disabled or malformed is no
 * failure. What a callback throws is caught, see `Client::on_item`.
 *
 * Threads. Any thread may call any const function, any number at once. Moving, assigning and destroying are like with any
 * object: nothing else may use it meanwhile.
 *
 * The rest of the contract is the first page of mpflags.h.
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
#include "mpflags/error.hpp"
#include "mpflags/evaluation.hpp"
#include "mpflags/names.hpp"
#include "mpflags/value.hpp"

namespace mpflags {

/* The release of the library, as in "0.1.0". */
inline std::string_view version() noexcept { return detail::view(mpflags_version()); }

/* Whom or what a flag is evaluated for. Made once, used by any number of threads, with any client. */
class Context {
  public:
    /* The empty context. */
    Context() noexcept = default;
    /* NaN, an infinity or a text that is not UTF-8 spoils the flags that read it: their error is `InvalidContext` and names
     * the key. Other flags are evaluated. Throws `InvalidContext` when the library cannot read the rest. */
    Context(const Object& members) : Context(from_members(members.json())) {}
    Context(std::initializer_list<Member> members) : Context(Object(members)) {}

    /* Takes JSON to the letter, and throws for what is not: NaN, or a text that is not UTF-8. */
    static Context from_json(std::string_view json) {
        detail::require_library();
        mpflags_context* made = nullptr;
        mpflags_error* error = nullptr;
        detail::check(mpflags_context_new_json(json.data(), json.size(), &made, &error), error);
        return Context(made);
    }

    const mpflags_context* get() const noexcept { return owned_.get(); }

  private:
    explicit Context(mpflags_context* owned) noexcept : owned_(owned) {}

    static Context from_members(const std::string& json) {
        detail::require_library();
        mpflags_context* made = nullptr;
        if (mpflags_context_new_json(json.data(), json.size(), &made, nullptr) == MPFLAGS_OK) return Context(made);
        return from_json(json::marked(json));
    }

    detail::Handle<mpflags_context> owned_;
};

struct EvaluateOptions {
    /* false: no exposure is reported; `Client::track_exposure` does when the variant is shown. */
    bool report_exposure = true;
    /* Bounds the request of a remote client; 0 means its request_timeout_ms. */
    std::chrono::milliseconds timeout{0};
};

/* The id of a user. A null pointer to text, as getenv gives, is like the empty text: no user, which calls refuse. */
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
    /* The greatest number is no time but MPFLAGS_TIMEOUT_CONFIGURED. */
    constexpr std::uint32_t longest = MPFLAGS_TIMEOUT_CONFIGURED - 1;
    return count > longest ? longest : static_cast<std::uint32_t>(count);
}

/* What takes a client's items, and how often it threw. */
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

/* The library asks for a shutdown before a client with a callback is freed. */
struct ClientFree {
    bool listens = false;
    void operator()(mpflags_client* client) const noexcept {
        if (listens) mpflags_client_shutdown(client, MPFLAGS_TIMEOUT_CONFIGURED, nullptr, nullptr);
        mpflags_client_free(client);
    }
};

/* The client's own name in the User-Agent, unless the program gives one. */
inline std::string with_wrapper(const Object& options) {
    if (json::has_key(options.json(), "wrapper")) return options.json();
    return Object(options).add("wrapper", "cpp/0.1").json();
}

}  // namespace detail

/* Evaluates the flags of one Mixpanel project. */
class Client {
  public:
    /* The options are those of the README's table. Opens no connection; evaluates what the options bring. Throws
     * `InvalidConfig`, with a message that names the key. */
    explicit Client(const Object& options) {
        detail::require_library();
        const std::string config = detail::with_wrapper(options);
        mpflags_client* made = nullptr;
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_new(config.data(), config.size(), &made, &error), error);
        owned_.reset(made);
    }
    explicit Client(std::initializer_list<Member> options) : Client(Object(options)) {}
    static Client from_json(std::string json) { return Client(Object::from_json(std::move(json))); }

    /* The destructor shuts the client down, within its shutdown_timeout_ms. Call `shutdown` before to choose the time or to
     * learn what was lost. */

    void start() const {
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_start(owned_.get(), &error), error);
    }
    /* Returns when there is something to evaluate. Throws `Timeout`, `CredentialsRefused` or `Closed`; polling goes on.
     * Without a time it is init_timeout_ms. */
    void wait_ready(std::chrono::milliseconds timeout) const { wait_until_ready(detail::milliseconds(timeout)); }
    void wait_ready() const { wait_until_ready(MPFLAGS_TIMEOUT_CONFIGURED); }
    /* Fetches the definitions now, polling or not, and returns when that fetch has ended; 0 starts it and does not wait.
     * Without a time it is request_timeout_ms. Throws `Backend`, `CredentialsRefused`, `Timeout` or `Closed`, and
     * `InvalidArgument` before `start` and in a callback; the definitions held stay in service. */
    void refresh(std::chrono::milliseconds timeout) const { fetch(detail::milliseconds(timeout)); }
    void refresh() const { fetch(MPFLAGS_TIMEOUT_CONFIGURED); }
    State state() const noexcept { return static_cast<State>(mpflags_client_state(owned_.get())); }

    /* Delivers what is enqueued and ends the threads. Gives how many events were lost. Any thread but a callback's.
     * Without a time it is shutdown_timeout_ms. */
    std::uint64_t shutdown(std::chrono::milliseconds timeout) const { return end(detail::milliseconds(timeout)); }
    std::uint64_t shutdown() const { return end(MPFLAGS_TIMEOUT_CONFIGURED); }
    /* Sends what is enqueued. Gives how many events still are when the time is over. */
    std::uint64_t flush(std::chrono::milliseconds timeout) const {
        std::uint64_t left = 0;
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_flush(owned_.get(), detail::milliseconds(timeout), &left, &error), error);
        return left;
    }

    /* The value if it has the type, and the default in every other case. */
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
    /* Objects, arrays and null, as JSON. */
    std::string get_json(std::string_view key, const Context& context, std::string_view default_value) const {
        const auto found = read(key, context, Type::Object);
        return std::string(found && found->has_value() ? found->json() : default_value);
    }

    /* Tells everything. Throws only for misuse, a key that is not UTF-8 among it. */
    Evaluation evaluate(std::string_view key, const Context& context, Type type = Type::Any,
                        const EvaluateOptions& options = {}) const {
        mpflags_evaluation* made = nullptr;
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_evaluate(owned_.get(), key.data(), key.size(), context.get(),
                                              static_cast<std::uint32_t>(type), bits(options),
                                              detail::milliseconds(options.timeout), &made, &error),
                      error);
        return Evaluation(made);
    }
    /* The same for a context that is used once, which costs less than making one. A context that cannot be read is an
     * outcome here. A library with a later ABI revision makes a context, and throws for one that cannot be read. */
    Evaluation evaluate_json(std::string_view key, std::string_view context, Type type = Type::Any,
                             const EvaluateOptions& options = {}) const {
        if (mpflags_abi_revision() != MPFLAGS_ABI_REVISION) {
            return evaluate(key, Context::from_json(context), type, options);
        }
        mpflags_evaluation* made = nullptr;
        mpflags_error* error = nullptr;
        detail::check(
            mpflags_client_evaluate_encoded(owned_.get(), key.data(), key.size(), context.data(), context.size(),
                                            MPFLAGS_ENCODING_JSON, static_cast<std::uint32_t>(type), bits(options),
                                            detail::milliseconds(options.timeout), &made, &error),
            error);
        return Evaluation(made);
    }
    /* Every flag; of a remote client those that the user is in. Reports no exposure. */
    Evaluations evaluate_all(const Context& context, std::chrono::milliseconds timeout = {}) const {
        mpflags_evaluations* made = nullptr;
        mpflags_error* error = nullptr;
        detail::check(
            mpflags_client_evaluate_all(owned_.get(), context.get(), 0, detail::milliseconds(timeout), &made, &error),
            error);
        return Evaluations(made);
    }

    /* How the flag comes to what it gives, group by group, as JSON; see mpflags_client_explain. */
    std::string explain(std::string_view key, const Context& context) const {
        mpflags_text* made = nullptr;
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_explain(owned_.get(), key.data(), key.size(), context.get(), &made, &error),
                      error);
        const detail::Handle<mpflags_text> text(made);
        return std::string(detail::view(mpflags_text_view(text.get())));
    }

    /* Any JSON value, whatever Mixpanel says, from now on. */
    void set_override(std::string_view key, const Value& value) const {
        const std::string& json = value.json();
        mpflags_error* error = nullptr;
        detail::check(
            mpflags_client_set_override(owned_.get(), key.data(), key.size(), json.data(), json.size(), &error), error);
    }
    void clear_override(std::string_view key) const {
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_clear_override(owned_.get(), key.data(), key.size(), &error), error);
    }

    /* These only enqueue. They throw `InvalidArgument`, `QueueFull` or `Closed`. An evaluation that is a type mismatch is
     * an `InvalidArgument`: the user was shown the default. */
    void track_exposure(EvaluationView shown) const {
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_track_exposure(owned_.get(), shown.get(), &error), error);
    }
    /* A temporary, too. */
    void track_exposure(const Evaluation& shown) const { track_exposure(shown.view()); }
    /* An empty id means that no user is known: the properties must have a `$device_id` then. `time` (a number of seconds or
     * milliseconds since 1970, or RFC 3339) and `$insert_id` among them replace the library's; see mpflags_client_track. */
    void track(std::string_view event, UserId distinct_id, const Object& properties = {}) const {
        const std::string& json = properties.json();
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_track(owned_.get(), event.data(), event.size(), distinct_id.data(),
                                           distinct_id.size(), json.data(), json.size(), &error),
                      error);
    }
    /* An event of another time than now. */
    void track(std::string_view event, UserId distinct_id, const Object& properties,
               std::chrono::system_clock::time_point time) const {
        const auto since = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
        track(event, distinct_id, Object(properties).add("time", static_cast<std::int64_t>(since.count())));
    }
    void people_update(std::string_view operation, UserId distinct_id, const Value& operand) const {
        const std::string& json = operand.json();
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_people_update(owned_.get(), operation.data(), operation.size(), distinct_id.data(),
                                                   distinct_id.size(), json.data(), json.size(), &error),
                      error);
    }
    /* What became of events, as JSON; see mpflags_client_statistics. */
    std::string statistics() const {
        mpflags_text* made = nullptr;
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_statistics(owned_.get(), &made, &error), error);
        const detail::Handle<mpflags_text> text(made);
        return std::string(detail::view(mpflags_text_view(text.get())));
    }

    /* Takes the next item into `item`, and waits for it. Gives `Ok`, `Timeout` when none came, or `Closed` when the client
     * is shut down, which ends a loop:
     *
     *   mpflags::Item item;
     *   for (Status got; (got = client.next_item(item, 1s)) != Status::Closed;) if (got == Status::Ok) follow(item);
     *
     * Throws for misuse. One thread takes items. */
    Status next_item(Item& item, std::chrono::milliseconds timeout) const {
        mpflags_item* made = nullptr;
        mpflags_error* error = nullptr;
        const mpflags_status status = mpflags_client_next_item(owned_.get(), detail::milliseconds(timeout), &made, &error);
        if (status == MPFLAGS_TIMEOUT || status == MPFLAGS_CLOSED) {
            mpflags_error_free(error);
            return static_cast<Status>(status);
        }
        detail::check(status, error);
        item = Item(made);
        return Status::Ok;
    }
    /* Hands every item to `take` instead, on the thread mpflags-poll, one at a time. Set it once, before `start`. It may
     * use this client, but neither shut it down nor destroy it. What it throws ends there: the item counts as
     * taken, `exceptions_in_callback` counts it, and the next item comes as if nothing had happened. */
    void on_item(std::function<void(const ItemView&)> take) {
        if (!take) throw Error(Status::NullArgument, "the function for items is empty");
        auto listener = std::make_unique<detail::Listener>();
        listener->take = std::move(take);
        listener->thrown = thrown_;
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_on_item(owned_.get(), &detail::Listener::deliver, listener.get(),
                                                  &detail::Listener::drop, &error),
                      error);
        static_cast<void>(listener.release());
        owned_.get_deleter().listens = true;
    }
    std::uint64_t exceptions_in_callback() const noexcept {
        return thrown_ ? thrown_->load(std::memory_order_relaxed) : 0;
    }

    mpflags_client* get() const noexcept { return owned_.get(); }

  private:
    void wait_until_ready(std::uint32_t timeout_ms) const {
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_wait_ready(owned_.get(), timeout_ms, &error), error);
    }
    void fetch(std::uint32_t timeout_ms) const {
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_refresh(owned_.get(), timeout_ms, &error), error);
    }
    std::uint64_t end(std::uint32_t timeout_ms) const {
        std::uint64_t lost = 0;
        mpflags_error* error = nullptr;
        detail::check(mpflags_client_shutdown(owned_.get(), timeout_ms, &lost, &error), error);
        return lost;
    }
    /* Nothing for misuse. */
    std::optional<Evaluation> read(std::string_view key, const Context& context, Type type) const noexcept {
        mpflags_evaluation* made = nullptr;
        mpflags_client_evaluate(owned_.get(), key.data(), key.size(), context.get(), static_cast<std::uint32_t>(type),
                                0, 0, &made, nullptr);
        if (made == nullptr) return std::nullopt;
        return Evaluation(made);
    }
    static std::uint32_t bits(const EvaluateOptions& options) noexcept {
        return options.report_exposure ? 0 : MPFLAGS_OPTION_NO_EXPOSURE;
    }

    std::shared_ptr<std::atomic<std::uint64_t>> thrown_ = std::make_shared<std::atomic<std::uint64_t>>(0);
    std::unique_ptr<mpflags_client, detail::ClientFree> owned_;
};

}  // namespace mpflags

#endif
