// An EvaluationContext as a context of the library. Part of provider.cpp.
#ifndef MPFLAGS_OPENFEATURE_TO_CONTEXT_HPP
#define MPFLAGS_OPENFEATURE_TO_CONTEXT_HPP

#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mpflags/context.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "openfeature/evaluation_context.h"
#include "openfeature/value.h"

namespace mpflags::openfeature::detail {

using ::openfeature::EvaluationContext;
using ::openfeature::Value;

// Sets attributes, members and elements, whatever type they have.
struct Attributes {
    mpflags::detail::ContextBuilder& builder;

    void set(std::string_view key, const std::any& any);
    void set(std::string_view key, const Value& value);

    void set(std::string_view key, std::string_view text) { builder.set(key, text); }
    void set(std::string_view key, const std::string& text) { builder.set(key, std::string_view(text)); }
    // A null pointer is null.
    void set(std::string_view key, const char* text) {
        if (text == nullptr) return builder.set(key, nullptr);
        builder.set(key, std::string_view(text));
    }
    void set(std::string_view key, std::nullptr_t) { builder.set(key, nullptr); }
    void set(std::string_view key, std::chrono::system_clock::time_point time) {
        builder.set(key, std::string_view(mpflags::detail::rfc3339(time)));
    }
    template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
    void set(std::string_view key, T number) {
        builder.set(key, mpflags::detail::widened(number));
    }
    template <class T>
    void set(std::string_view key, const std::vector<T>& elements) {
        builder.array(key, [&] {
            for (const auto& element : elements) set({}, static_cast<const T&>(element));
        });
    }
    template <class T>
    void set(std::string_view key, const std::map<std::string, T>& members) {
        set_object(key, members);
    }
    template <class T>
    void set(std::string_view key, const std::unordered_map<std::string, T>& members) {
        set_object(key, members);
    }
    template <class Map>
    void set_object(std::string_view key, const Map& members) {
        builder.object(key, [&] {
            for (const auto& [name, member] : members) set(name, member);
        });
    }

    template <class T>
    bool is(std::string_view key, const std::any& any) {
        const T* held = std::any_cast<T>(&any);
        if (held == nullptr) return false;
        set(key, *held);
        return true;
    }
    template <class... Ts>
    bool one_of(std::string_view key, const std::any& any) {
        return (is<Ts>(key, any) || ...);
    }
    // Vectors and maps of each type.
    template <class... Ts>
    bool containers_of(std::string_view key, const std::any& any) {
        return (one_of<std::vector<Ts>, std::map<std::string, Ts>, std::unordered_map<std::string, Ts>>(key, any) ||
                ...);
    }
};

inline void Attributes::set(std::string_view key, const std::any& any) {
    // The most common types first.
    if (one_of<std::string, bool, std::int64_t, int, double, const char*, std::string_view, char*, Value,
               std::chrono::system_clock::time_point>(key, any)) {
        return;
    }
    if (one_of<long, long long, unsigned, unsigned long, unsigned long long, float, long double, short, unsigned short,
               signed char, unsigned char, std::nullptr_t>(key, any)) {
        return;
    }
    if (containers_of<std::any, Value, std::string, bool, int, long, long long, unsigned, unsigned long,
                      unsigned long long, double, float, const char*, std::string_view>(key, any)) {
        return;
    }
    if (!any.has_value()) return builder.set(key, nullptr);
    builder.set_unusable(key, std::string("a C++ value of type ") + any.type().name());
}

inline void Attributes::set(std::string_view key, const Value& given) {
    if (const auto* list = given.AsList()) return set(key, *list);
    if (const auto* map = given.AsStructure()) return set(key, *map);
    if (given.IsBool()) return set(key, given.AsBool().value_or(false));
    if (given.IsString()) return set(key, std::string_view(given.AsString().value_or("")));
    if (const auto time = given.AsDateTime()) return set(key, *time);
    if (const auto number = given.AsDouble()) {
        // The SDK does not distinguish integers from doubles. AsInt rounds a double, which is undefined beyond int64,
        // so an integer within 512 of 2^63 is passed on as a double.
        const double beyond = 9223372036854775808.0;
        const bool fits = *number >= -beyond && *number < beyond;
        const std::int64_t whole = fits ? given.AsInt().value_or(0) : 0;
        if (fits && static_cast<double>(whole) == *number) return set(key, whole);
        return set(key, *number);
    }
    set(key, nullptr);
}

inline Context context_of(const EvaluationContext& context) {
    return Context(mpflags::detail::make_context([&](mpflags::detail::ContextBuilder& builder) {
        Attributes attributes{builder};
        const auto targeting_key = context.GetTargetingKey();
        if (targeting_key) attributes.set("targetingKey", std::string_view(*targeting_key));
        for (const auto& [key, held] : context.GetAttributes()) {
            if (!targeting_key || key != "targetingKey") attributes.set(key, held);
        }
    }));
}

}  // namespace mpflags::openfeature::detail

#endif
