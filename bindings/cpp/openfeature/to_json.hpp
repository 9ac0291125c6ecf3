// An EvaluationContext as JSON. Part of provider.cpp.
#ifndef MPFLAGS_OPENFEATURE_TO_JSON_HPP
#define MPFLAGS_OPENFEATURE_TO_JSON_HPP

#include <any>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mpflags/value.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "openfeature/evaluation_context.h"
#include "openfeature/value.h"

namespace mpflags::openfeature::detail {

using ::openfeature::EvaluationContext;
using ::openfeature::Value;

// The library's limit on nesting is lower, so deeper values need not be encoded.
constexpr int kDeepest = 200;

struct Encoder {
    std::string out;
    // The first attribute with a value that has no JSON, and the type of that value.
    std::string unknown_key;
    std::string unknown_type;
    std::string_view key;

    void value(const std::any& any, int depth);
    void value(const Value& value, int depth);

    void value(const std::string& text, int) { json::append(out, std::string_view(text)); }
    void value(std::string_view text, int) { json::append(out, text); }
    void value(const char* text, int) { json::append(out, text); }
    void value(char* text, int) { json::append(out, text); }
    // NaN and infinities have no JSON, so flags that read them fail.
    void real(double number) {
        if (std::isfinite(number)) {
            json::append(out, number);
        } else {
            out += json::unusable;
        }
    }
    void value(std::nullptr_t, int) { json::append(out, nullptr); }
    void value(std::chrono::system_clock::time_point time, int) { json::append(out, time); }

    template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
    void value(T number, int) {
        if constexpr (std::is_same_v<T, bool>) {
            json::append(out, number);
        } else if constexpr (std::is_floating_point_v<T>) {
            real(static_cast<double>(number));
        } else if constexpr (std::is_signed_v<T>) {
            json::append(out, static_cast<std::int64_t>(number));
        } else {
            json::append(out, static_cast<std::uint64_t>(number));
        }
    }

    template <class T>
    void value(const std::vector<T>& elements, int depth) {
        out += '[';
        if (depth < kDeepest) {
            bool first = true;
            for (const auto& element : elements) {
                if (!std::exchange(first, false)) out += ',';
                if constexpr (std::is_same_v<T, bool>) {
                    value(static_cast<bool>(element), depth + 1);
                } else {
                    value(element, depth + 1);
                }
            }
        }
        out += ']';
    }

    template <class Map>
    void members(const Map& map, int depth) {
        out += '{';
        if (depth < kDeepest) {
            bool first = true;
            for (const auto& [name, element] : map) {
                if (!std::exchange(first, false)) out += ',';
                json::append(out, std::string_view(name));
                out += ':';
                value(element, depth + 1);
            }
        }
        out += '}';
    }
    template <class T>
    void value(const std::map<std::string, T>& map, int depth) {
        members(map, depth);
    }
    template <class T>
    void value(const std::unordered_map<std::string, T>& map, int depth) {
        members(map, depth);
    }

    template <class T>
    bool is(const std::any& any, int depth) {
        const T* held = std::any_cast<T>(&any);
        if (held == nullptr) return false;
        value(*held, depth);
        return true;
    }
    template <class... Ts>
    bool one_of(const std::any& any, int depth) {
        return (is<Ts>(any, depth) || ...);
    }
    // Vectors and maps of each type.
    template <class... Ts>
    bool containers_of(const std::any& any, int depth) {
        return (one_of<std::vector<Ts>, std::map<std::string, Ts>, std::unordered_map<std::string, Ts>>(any, depth) ||
                ...);
    }
};

inline void Encoder::value(const std::any& any, int depth) {
    // The most common types first.
    if (one_of<std::string, bool, std::int64_t, int, double, const char*, std::string_view, char*, Value,
               std::chrono::system_clock::time_point>(any, depth)) {
        return;
    }
    if (one_of<long long, unsigned, unsigned long, unsigned long long, float, long double, short, unsigned short,
               signed char, unsigned char, std::nullptr_t>(any, depth)) {
        return;
    }
    if (containers_of<std::any, Value, std::string, bool, int, long, long long, unsigned, unsigned long,
                      unsigned long long, double, float, const char*, std::string_view>(any, depth)) {
        return;
    }
    if (any.has_value() && unknown_type.empty()) {
        unknown_key = std::string(key);
        unknown_type = any.type().name();
    }
    // An empty std::any is null. Flags that read a value without JSON fail.
    out += any.has_value() ? json::unusable : "null";
}

inline void Encoder::value(const Value& given, int depth) {
    if (const auto* list = given.AsList()) return value(*list, depth);
    if (const auto* map = given.AsStructure()) return value(*map, depth);
    if (given.IsBool()) return json::append(out, given.AsBool().value_or(false));
    if (given.IsString()) return json::append(out, std::string_view(given.AsString().value_or("")));
    if (const auto time = given.AsDateTime()) return json::append(out, *time);
    if (const auto number = given.AsDouble()) {
        // The SDK does not distinguish integers from doubles. AsInt rounds a double, which is undefined beyond int64,
        // so an integer within 512 of 2^63 is encoded as a double.
        const double beyond = 9223372036854775808.0;
        const bool fits = *number >= -beyond && *number < beyond;
        const std::int64_t whole = fits ? given.AsInt().value_or(0) : 0;
        if (fits && static_cast<double>(whole) == *number) return json::append(out, whole);
        return real(*number);
    }
    json::append(out, nullptr);
}

inline Encoder encoded(const EvaluationContext& context) {
    Encoder encoder;
    encoder.out.reserve(256);
    encoder.out += '{';
    const auto targeting_key = context.GetTargetingKey();
    if (targeting_key) {
        encoder.out += "\"targetingKey\":";
        json::append(encoder.out, *targeting_key);
    }
    for (const auto& [key, held] : context.GetAttributes()) {
        if (targeting_key && key == "targetingKey") continue;
        if (encoder.out.size() > 1) encoder.out += ',';
        json::append(encoder.out, std::string_view(key));
        encoder.out += ':';
        encoder.key = key;
        encoder.value(held, 1);
    }
    encoder.out += '}';
    return encoder;
}

// The first attribute that is not UTF-8. The library's message does not name it.
inline std::string not_utf8(const EvaluationContext& context) {
    const auto targeting_key = context.GetTargetingKey();
    if (targeting_key && !json::is_utf8(*targeting_key)) return "targetingKey";
    for (const auto& [key, held] : context.GetAttributes()) {
        if (!json::is_utf8(key)) return "a key";
        Encoder encoder;
        encoder.value(held, 1);
        if (!json::is_utf8(encoder.out)) return key;
    }
    return {};
}

}  // namespace mpflags::openfeature::detail

#endif
