/* mpflags/evaluation.hpp: results of evaluations, and items of a client. */
#ifndef MPFLAGS_EVALUATION_HPP
#define MPFLAGS_EVALUATION_HPP

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mpflags.h"
#include "mpflags/error.hpp"
#include "mpflags/names.hpp"

namespace mpflags {

/** A view of an evaluation. The view and the strings that it returns are valid as long as the evaluation's owner. A
 * missing string has a null `data()`. */
class EvaluationView {
  public:
    explicit EvaluationView(const mpflags_evaluation* evaluation) noexcept : evaluation_(evaluation) {}

    /** Whether there is a value of the requested type. If not, use your default. */
    bool has_value() const noexcept { return mpflags_evaluation_has_value(evaluation_); }
    explicit operator bool() const noexcept { return has_value(); }
    Kind kind() const noexcept { return static_cast<Kind>(mpflags_evaluation_kind(evaluation_)); }
    /** The value if it has this type, otherwise false, 0 or a missing string. */
    bool boolean() const noexcept { return mpflags_evaluation_boolean(evaluation_); }
    std::int64_t int64() const noexcept { return mpflags_evaluation_int64(evaluation_); }
    double number() const noexcept { return mpflags_evaluation_double(evaluation_); }
    std::string_view string() const noexcept { return detail::view(mpflags_evaluation_string(evaluation_)); }
    /** The value, of whatever type, as compact JSON. */
    std::string_view json() const noexcept { return detail::view(mpflags_evaluation_json(evaluation_)); }

    std::string_view key() const noexcept { return detail::view(mpflags_evaluation_key(evaluation_)); }
    std::string_view variant() const noexcept { return detail::view(mpflags_evaluation_variant(evaluation_)); }
    Reason reason() const noexcept { return static_cast<Reason>(mpflags_evaluation_reason(evaluation_)); }
    ErrorCode error_code() const noexcept { return static_cast<ErrorCode>(mpflags_evaluation_error_code(evaluation_)); }
    /** What went wrong, if the reason is `Error`. */
    std::string_view message() const noexcept { return detail::view(mpflags_evaluation_message(evaluation_)); }

    std::string_view experiment_id() const noexcept {
        return detail::view(mpflags_evaluation_experiment_id(evaluation_));
    }
    std::optional<bool> is_experiment_active() const noexcept {
        const std::int32_t active = mpflags_evaluation_is_experiment_active(evaluation_);
        if (active == MPFLAGS_EXPERIMENT_UNKNOWN) return std::nullopt;
        return active == MPFLAGS_EXPERIMENT_ACTIVE;
    }
    bool is_qa_tester() const noexcept { return mpflags_evaluation_is_qa_tester(evaluation_); }
    /** The three values above, if there are any, and `unsupported`, the parts of the flag's definition that the library
     * does not support; as a JSON object. */
    std::string_view metadata_json() const noexcept {
        return detail::view(mpflags_evaluation_metadata_json(evaluation_));
    }

    const mpflags_evaluation* get() const noexcept { return evaluation_; }

  private:
    const mpflags_evaluation* evaluation_;
};

/** Owns an evaluation, and may outlive the client. A view of a temporary does not compile. The strings of a temporary
 * are copies: keep them as std::string or auto. */
class Evaluation {
  public:
    explicit Evaluation(mpflags_evaluation* owned) noexcept : owned_(owned) {}

    EvaluationView view() const& noexcept { return EvaluationView(owned_.get()); }
    EvaluationView view() const&& = delete;
    operator EvaluationView() const& noexcept { return view(); }
    operator EvaluationView() const&& = delete;

    bool has_value() const noexcept { return at().has_value(); }
    explicit operator bool() const noexcept { return at().has_value(); }
    Kind kind() const noexcept { return at().kind(); }
    bool boolean() const noexcept { return at().boolean(); }
    std::int64_t int64() const noexcept { return at().int64(); }
    double number() const noexcept { return at().number(); }
    Reason reason() const noexcept { return at().reason(); }
    ErrorCode error_code() const noexcept { return at().error_code(); }
    std::optional<bool> is_experiment_active() const noexcept { return at().is_experiment_active(); }
    bool is_qa_tester() const noexcept { return at().is_qa_tester(); }

    std::string_view string() const& noexcept { return at().string(); }
    std::string string() const&& { return std::string(at().string()); }
    std::string_view json() const& noexcept { return at().json(); }
    std::string json() const&& { return std::string(at().json()); }
    std::string_view key() const& noexcept { return at().key(); }
    std::string key() const&& { return std::string(at().key()); }
    std::string_view variant() const& noexcept { return at().variant(); }
    std::string variant() const&& { return std::string(at().variant()); }
    std::string_view message() const& noexcept { return at().message(); }
    std::string message() const&& { return std::string(at().message()); }
    std::string_view experiment_id() const& noexcept { return at().experiment_id(); }
    std::string experiment_id() const&& { return std::string(at().experiment_id()); }
    std::string_view metadata_json() const& noexcept { return at().metadata_json(); }
    std::string metadata_json() const&& { return std::string(at().metadata_json()); }

  private:
    EvaluationView at() const noexcept { return EvaluationView(owned_.get()); }

    detail::Handle<mpflags_evaluation> owned_;
};

namespace detail {

/* Iterates over the elements of a handle, by their indices. */
template <class Handle, class Element, Element (*At)(const Handle*, std::size_t)>
class Iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Element;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Element;

    Iterator(const Handle* of, std::size_t at) noexcept : of_(of), at_(at) {}
    Element operator*() const noexcept { return At(of_, at_); }
    Iterator& operator++() noexcept {
        at_++;
        return *this;
    }
    Iterator operator++(int) noexcept {
        const Iterator before = *this;
        at_++;
        return before;
    }
    bool operator==(const Iterator& other) const noexcept { return at_ == other.at_; }
    bool operator!=(const Iterator& other) const noexcept { return at_ != other.at_; }

  private:
    const Handle* of_;
    std::size_t at_;
};

inline EvaluationView evaluation_at(const mpflags_evaluations* of, std::size_t at) noexcept {
    return EvaluationView(mpflags_evaluations_at(of, at));
}

inline std::string_view key_at(const mpflags_item* of, std::size_t at) noexcept {
    return view(mpflags_item_key(of, at));
}

}  // namespace detail

/** Owns the evaluations of all flags for one context, sorted by key, and may outlive the client. Views are valid as
 * long as it exists; views of a temporary do not compile. */
class Evaluations {
  public:
    explicit Evaluations(mpflags_evaluations* owned) noexcept : owned_(owned) {}

    using Iterator = detail::Iterator<mpflags_evaluations, EvaluationView, &detail::evaluation_at>;

    std::size_t size() const noexcept { return mpflags_evaluations_count(owned_.get()); }
    bool empty() const noexcept { return size() == 0; }
    Iterator begin() const& noexcept { return {owned_.get(), 0}; }
    Iterator begin() const&& = delete;
    Iterator end() const& noexcept { return {owned_.get(), size()}; }
    Iterator end() const&& = delete;
    std::optional<EvaluationView> find(std::string_view key) const& noexcept {
        const mpflags_evaluation* found = mpflags_evaluations_find(owned_.get(), key.data(), key.size());
        if (found == nullptr) return std::nullopt;
        return EvaluationView(found);
    }
    std::optional<EvaluationView> find(std::string_view key) const&& = delete;
    /** The reason why only overrides were evaluated, or `None`. */
    ErrorCode failure() const noexcept { return static_cast<ErrorCode>(mpflags_evaluations_failure(owned_.get())); }
    std::string_view message() const& noexcept { return detail::view(mpflags_evaluations_message(owned_.get())); }
    std::string_view message() const&& = delete;

  private:
    detail::Handle<mpflags_evaluations> owned_;
};

/** The keys of the flags that changed, sorted, as std::string_views that are valid as long as the item. */
class Keys {
  public:
    explicit Keys(const mpflags_item* item) noexcept : item_(item) {}

    using Iterator = detail::Iterator<mpflags_item, std::string_view, &detail::key_at>;

    std::size_t size() const noexcept { return mpflags_item_key_count(item_); }
    bool empty() const noexcept { return size() == 0; }
    Iterator begin() const noexcept { return {item_, 0}; }
    Iterator end() const noexcept { return {item_, size()}; }

  private:
    const mpflags_item* item_;
};

/** A view of an item: a log line, a state, a change of definitions or an event. In a callback it is valid until the
 * callback returns. */
class ItemView {
  public:
    explicit ItemView(const mpflags_item* item) noexcept : item_(item) {}

    ItemKind kind() const noexcept { return static_cast<ItemKind>(mpflags_item_kind(item_)); }
    Level level() const noexcept { return static_cast<Level>(mpflags_item_level(item_)); }
    State state() const noexcept { return static_cast<State>(mpflags_item_state(item_)); }
    /** The log line, or the failure that led to the state. */
    std::string_view message() const noexcept { return detail::view(mpflags_item_message(item_)); }
    /** The keys of the changed flags: `for (std::string_view key : item.keys())`. */
    Keys keys() const noexcept { return Keys(item_); }
    /** The event as JSON; only with the option event_sink. */
    std::string_view event() const noexcept { return detail::view(mpflags_item_event(item_)); }

  protected:
    const mpflags_item* item_;
};

/** Owns an item, and may outlive the client. Empty until `Client::next_item` fills it. */
class Item : public ItemView {
  public:
    Item() noexcept : ItemView(nullptr) {}
    explicit Item(mpflags_item* owned) noexcept : ItemView(owned), owned_(owned) {}
    Item(const Item&) = delete;
    Item& operator=(const Item&) = delete;
    ~Item() = default;
    Item(Item&& other) noexcept : ItemView(other), owned_(std::move(other.owned_)) { other.item_ = nullptr; }
    Item& operator=(Item&& other) noexcept {
        owned_ = std::move(other.owned_);
        if (this != &other) other.item_ = nullptr;
        item_ = owned_.get();
        return *this;
    }

  private:
    detail::Handle<mpflags_item> owned_;
};

}  // namespace mpflags

#endif
