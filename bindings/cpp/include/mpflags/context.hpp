/* mpflags/context.hpp: whom or what a flag is evaluated for. */
#ifndef MPFLAGS_CONTEXT_HPP
#define MPFLAGS_CONTEXT_HPP

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>

#include "mpflags.h"
#include "mpflags/error.hpp"
#include "mpflags/value.hpp"

namespace mpflags {

namespace detail {

inline bool is_utf8(std::string_view text) noexcept {
    const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
    for (std::size_t at = 0; at < text.size();) {
        const unsigned first = byte(at);
        const std::size_t more = first < 0x80 ? 0 : first < 0xC2 ? 9 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
        if (more > 3 || first > 0xF4) return false;
        /* The second byte excludes overlong forms, surrogates, and code points beyond U+10FFFF. */
        const unsigned least = first == 0xE0 ? 0xA0U : first == 0xF0 ? 0x90U : 0x80U;
        const unsigned most = first == 0xED ? 0x9FU : first == 0xF4 ? 0x8FU : 0xBFU;
        for (std::size_t i = 1; i <= more; i++) {
            const unsigned next = byte(at + i);
            if (next < (i == 1 ? least : 0x80U) || next > (i == 1 ? most : 0xBFU)) return false;
        }
        at += more + 1;
    }
    return true;
}

/* mpflags_context_builder, except that a value which cannot be used is not a mistake: only flags that read it fail. */
class ContextBuilder {
  public:
    void set(std::string_view key, std::nullptr_t) { call(mpflags_context_builder_set_null, key); }
    void set(std::string_view key, bool value) { call(mpflags_context_builder_set_boolean, key, value ? 1 : 0); }
    void set(std::string_view key, std::int64_t value) { call(mpflags_context_builder_set_int64, key, value); }
    void set(std::string_view key, std::uint64_t value) {
        if (value <= std::numeric_limits<std::int64_t>::max()) return set(key, static_cast<std::int64_t>(value));
        set_json(key, std::to_string(value));
    }
    void set(std::string_view key, double value) {
        if (!std::isfinite(value)) return set_unusable(key, "a number that is not finite");
        call(mpflags_context_builder_set_double, key, value);
    }
    void set(std::string_view key, std::string_view text) {
        if (checks_text_ && !is_utf8(text)) return set_unusable(key, "a string that is not UTF-8");
        call(mpflags_context_builder_set_string, key, text.data(), text.size());
    }
    void set_json(std::string_view key, std::string_view text) {
        call(mpflags_context_builder_set_json, key, text.data(), text.size());
    }
    void set_unusable(std::string_view key, std::string_view why) {
        call(mpflags_context_builder_set_unusable, key, why.data(), why.size());
    }

    /* Sets an object, whose members `fill` sets. */
    template <class Fill>
    void object(std::string_view key, const Fill& fill) {
        nest(mpflags_context_builder_begin_object, key, fill);
    }
    /* Sets an array, whose elements `fill` sets, with empty keys. */
    template <class Fill>
    void array(std::string_view key, const Fill& fill) {
        nest(mpflags_context_builder_begin_array, key, fill);
    }

    /* From now on text that is not UTF-8 cannot be used. Until then the library refuses it, which is faster. */
    void check_text() noexcept { checks_text_ = true; }

    mpflags_context_builder* get() const noexcept { return builder_.get(); }

  private:
    /* How deep objects and arrays can be nested in a context. */
    static constexpr int deepest = 126;

    template <class Function, class... Content>
    void call(Function* function, std::string_view key, Content... content) {
        if (is_usable(key)) function(builder_.get(), key.data(), key.size(), content...);
    }
    template <class Function, class Fill>
    void nest(Function* begin, std::string_view key, const Fill& fill) {
        if (depth_ == deepest) return set_unusable(key, "nested more than 127 levels deep");
        if (!is_usable(key)) return;
        begin(builder_.get(), key.data(), key.size());
        depth_++;
        fill();
        depth_--;
        mpflags_context_builder_end(builder_.get());
    }
    bool is_usable(std::string_view key) {
        if (!checks_text_ || is_utf8(key)) return true;
        set_unusable("\xEF\xBF\xBD", "a key that is not UTF-8");
        return false;
    }

    Handle<mpflags_context_builder> builder_{mpflags_context_builder_new()};
    bool checks_text_ = false;
    int depth_ = 0;
};

/* Sets a Value under a key. */
struct ToContext {
    ContextBuilder& builder;
    std::string_view key;

    template <class Scalar>
    void scalar(Scalar value) const {
        builder.set(key, value);
    }
    void json(std::string_view text) const { builder.set_json(key, text); }
    void array(std::string_view elements) const {
        builder.array(key, [&] {
            while (!elements.empty()) visit(elements, ToContext{builder, {}});
        });
    }
    void object(std::string_view members) const {
        builder.object(key, [&] { each(builder, members); });
    }

    static void each(ContextBuilder& builder, std::string_view members) {
        while (!members.empty()) {
            const std::string_view key = take_text(members);
            visit(members, ToContext{builder, key});
        }
    }
};

/* Makes a context of the attributes that `fill` sets in a builder. */
template <class Fill>
mpflags_context* make_context(const Fill& fill) {
    require_library();
    ContextBuilder builder;
    fill(builder);
    mpflags_context* made = nullptr;
    if (mpflags_context_builder_build(builder.get(), &made, nullptr) == MPFLAGS_OK) return made;
    builder.check_text();
    fill(builder);
    return make<mpflags_context>(mpflags_context_builder_build, builder.get());
}

}  // namespace detail

/** Whom or what a flag is evaluated for. Any number of threads and clients may use it at the same time. */
class Context {
  public:
    /** The empty context. */
    Context() noexcept = default;
    /** NaN, infinities and strings that are not UTF-8 cannot be used: flags that read them fail with `InvalidContext`
     * and a message that names the attribute, while other flags are evaluated normally. Throws `InvalidContext`, also
     * with the name of the attribute, for a `Value::from_json` that is not JSON. */
    Context(std::initializer_list<Member> members)
        : Context(detail::make_context([&](detail::ContextBuilder& builder) {
              for (const Member& member : members) {
                  std::string_view value = member.value.held_;
                  detail::visit(value, detail::ToContext{builder, member.key});
              }
          })) {}
    Context(const Object& members)
        : Context(members.is_json_ ? from_json(members.held_)
                                   : Context(detail::make_context([&](detail::ContextBuilder& builder) {
                                         detail::ToContext::each(builder, members.held_);
                                     }))) {}

    /** Throws for anything that is not valid JSON, such as NaN or a string that is not UTF-8. */
    static Context from_json(std::string_view json) {
        detail::require_library();
        return Context(detail::make<mpflags_context>(mpflags_context_new_json, json.data(), json.size()));
    }

    /** Owns a handle of mpflags.h. */
    explicit Context(mpflags_context* owned) noexcept : owned_(owned) {}

    const mpflags_context* get() const noexcept { return owned_.get(); }

  private:
    detail::Handle<mpflags_context> owned_;
};

}  // namespace mpflags

#endif
