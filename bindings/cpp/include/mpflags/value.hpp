/* mpflags/value.hpp: builds JSON for contexts, options and event properties.
 *
 *   mpflags::Object user{{"distinct_id", "user-1"}, {"custom_properties", {{"plan", "premium"}, {"seats", 5}}}};
 *
 * Nothing is checked here: the library parses the text, and its error says what is wrong. That includes NaN, infinities
 * and strings that are not UTF-8. A moved-from Value is null, a moved-from Object is empty.
 */
#ifndef MPFLAGS_VALUE_HPP
#define MPFLAGS_VALUE_HPP

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mpflags {

/** Functions that append JSON to a string, or read it. */
namespace json {

inline void append(std::string& out, std::nullptr_t) { out += "null"; }

inline void append(std::string& out, bool value) { out += value ? "true" : "false"; }

inline void append(std::string& out, std::int64_t value) { out += std::to_string(value); }

inline void append(std::string& out, std::uint64_t value) { out += std::to_string(value); }

/* The shortest text that parses to the same number. NaN and infinities become `NaN` and `Infinity`, which is not
 * JSON. */
inline void append(std::string& out, double value) {
    if (!std::isfinite(value)) {
        out += std::isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
        return;
    }
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        std::snprintf(text, sizeof text, "%.*g", digits, value);
        double read = 0;
        /* Both functions use the program's locale. */
        if (std::sscanf(text, "%lf", &read) == 1 && read == value) break;
    }
    for (const char* c = text; *c != '\0'; c++) {
        const bool part = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e';
        /* Anything else is the decimal point of that locale. */
        out += part ? *c : '.';
    }
}

inline void append(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(byte));
            out += escape;
        } else {
            out += c;
        }
    }
    out += '"';
}

/* A null pointer, as from getenv, is null. Without this overload, a pointer would convert to bool. */
inline void append(std::string& out, const char* text) {
    if (text == nullptr) return append(out, nullptr);
    append(out, std::string_view(text));
}

/* RFC 3339 in UTC, with three, six or nine decimals if needed. */
inline void append(std::string& out, std::chrono::system_clock::time_point time) {
    using std::chrono::nanoseconds;
    using std::chrono::seconds;
    const auto since = time.time_since_epoch();
    auto whole = std::chrono::duration_cast<seconds>(since);
    if (whole > since) whole -= seconds(1);
    const auto fraction = static_cast<long>(nanoseconds(since - whole).count());
    const std::int64_t count = whole.count();
    const std::int64_t days = (count >= 0 ? count : count - 86399) / 86400;
    const auto second = static_cast<int>(count - days * 86400);
    /* Days since 1970 to a date, counting years from March. */
    const std::int64_t shifted = days + 719468;
    const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const std::int64_t day_of_era = shifted - era * 146097;
    const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const auto day = static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    const auto month = static_cast<int>(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    char text[64];
    std::snprintf(text, sizeof text, "\"%04lld-%02d-%02dT%02d:%02d:%02d", static_cast<long long>(year), month, day,
                  second / 3600, second / 60 % 60, second % 60);
    out += text;
    if (fraction != 0) {
        const int digits = fraction % 1000000 == 0 ? 3 : fraction % 1000 == 0 ? 6 : 9;
        const long scale = digits == 3 ? 1000000 : digits == 6 ? 1000 : 1;
        std::snprintf(text, sizeof text, ".%0*ld", digits, fraction / scale);
        out += text;
    }
    out += "Z\"";
}

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

/* The string literal that a JSON text begins with, quotes included. */
inline std::string_view literal(std::string_view text) noexcept {
    std::size_t end = 1;
    while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
    return text.substr(0, end + 1);
}

/* Whether the rest of a JSON text begins with a colon, so that the literal before it was a key. */
inline bool is_after_key(std::string_view rest) noexcept {
    const std::size_t next = rest.find_first_not_of(" \t\r\n");
    return next != std::string_view::npos && rest[next] == ':';
}

/* Whether a JSON object has this key, at its top level and without escapes. */
inline bool has_key(std::string_view object, std::string_view key) noexcept {
    int depth = 0;
    while (!object.empty()) {
        const char first = object.front();
        const std::string_view token = first == '"' ? literal(object) : object.substr(0, 1);
        object.remove_prefix(token.size());
        if (first == '{' || first == '[') depth++;
        if (first == '}' || first == ']') depth--;
        if (first == '"' && depth == 1 && token.substr(1, token.size() - 2) == key && is_after_key(object)) return true;
    }
    return false;
}

/* A number beyond a double, which the library treats as an unusable value: only flags that read it fail. */
constexpr std::string_view unusable = "1e999";

/* A context with `unusable` in place of NaN, infinities and strings that are not UTF-8. In a key, which no flag can
 * read anyway, wrong bytes become U+FFFD. */
inline std::string marked(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 16);
    while (!text.empty()) {
        std::string_view token = text.substr(0, 1);
        bool usable = true;
        if (text.front() == '"') {
            token = literal(text);
            usable = is_utf8(token);
        }
        for (const std::string_view number : {"-Infinity", "Infinity", "NaN"}) {
            if (text.substr(0, number.size()) != number) continue;
            token = number;
            usable = false;
        }
        text.remove_prefix(token.size());
        if (usable) {
            out += token;
        } else if (!is_after_key(text)) {
            out += unusable;
        } else {
            for (const char c : token) {
                if (static_cast<unsigned char>(c) < 0x80) {
                    out += c;
                } else {
                    out += "\\ufffd";
                }
            }
        }
    }
    return out;
}

}  // namespace json

struct Member;

/** A JSON value. Numbers, booleans, strings and times convert implicitly; a braced list of pairs is an object. */
class Value {
  public:
    Value() : text_("null") {}
    Value(const Value&) = default;
    Value& operator=(const Value&) = default;
    Value(Value&& other) noexcept : text_(std::move(other.text_)) { other.text_ = "null"; }
    Value& operator=(Value&& other) noexcept {
        if (this != &other) {
            text_ = std::move(other.text_);
            other.text_ = "null";
        }
        return *this;
    }
    ~Value() = default;
    Value(std::nullptr_t) : text_("null") {}
    Value(const char* text) { json::append(text_, text); }
    Value(std::string_view text) { json::append(text_, text); }
    Value(const std::string& text) { json::append(text_, std::string_view(text)); }
    Value(std::chrono::system_clock::time_point time) { json::append(text_, time); }
    Value(std::initializer_list<Member> members);
    /** Any other number, and bool. Not char, which could be meant as a letter or as a number. */
    template <class T, std::enable_if_t<std::is_arithmetic_v<T> && !std::is_same_v<T, char>, int> = 0>
    Value(T value) {
        if constexpr (std::is_same_v<T, bool>) {
            json::append(text_, value);
        } else if constexpr (std::is_floating_point_v<T>) {
            json::append(text_, static_cast<double>(value));
        } else if constexpr (std::is_signed_v<T>) {
            json::append(text_, static_cast<std::int64_t>(value));
        } else {
            json::append(text_, static_cast<std::uint64_t>(value));
        }
    }
    template <class T>
    Value(const std::vector<T>& elements) {
        begin('[');
        for (const auto& element : elements) next(Value(T(element)).text_);
        text_ += ']';
    }
    template <class T>
    Value(const std::map<std::string, T>& members);

    static Value array(std::initializer_list<Value> elements) {
        Value made;
        made.begin('[');
        for (const Value& element : elements) made.next(element.text_);
        made.text_ += ']';
        return made;
    }
    /** Uses the JSON text as it is. */
    static Value from_json(std::string text) {
        Value made;
        made.text_ = std::move(text);
        return made;
    }

    const std::string& json() const& noexcept { return text_; }
    std::string json() && {
        std::string text = std::move(text_);
        text_ = "null";
        return text;
    }

  private:
    friend class Object;

    void begin(char bracket) { text_ = bracket; }
    void next(std::string_view element) {
        if (text_.size() > 1) text_ += ',';
        text_ += element;
    }
    void next(std::string_view key, std::string_view element) {
        if (text_.size() > 1) text_ += ',';
        json::append(text_, key);
        text_ += ':';
        text_ += element;
    }

    std::string text_;
};

/** A key and its value, as in {"plan", "premium"}. */
struct Member {
    std::string_view key;
    Value value;
};

inline Value::Value(std::initializer_list<Member> members) {
    begin('{');
    for (const Member& member : members) next(member.key, member.value.text_);
    text_ += '}';
}

template <class T>
Value::Value(const std::map<std::string, T>& members) {
    begin('{');
    for (const auto& [key, value] : members) next(key, Value(value).text_);
    text_ += '}';
}

/** A JSON object: a context, a configuration, the properties of an event. */
class Object {
  public:
    Object() : Object(std::initializer_list<Member>{}) {}
    Object(std::initializer_list<Member> members) : value_(members) {}
    Object(const Object&) = default;
    Object& operator=(const Object&) = default;
    Object(Object&& other) noexcept : value_(std::move(other.value_)) { other.value_.text_ = "{}"; }
    Object& operator=(Object&& other) noexcept {
        if (this != &other) {
            value_ = std::move(other.value_);
            other.value_.text_ = "{}";
        }
        return *this;
    }
    ~Object() = default;
    template <class T>
    Object(const std::map<std::string, T>& members) : value_(members) {}

    /** Uses the JSON text as it is. If it is not an object, the library's error says so. */
    static Object from_json(std::string text) {
        Object made;
        made.value_ = Value::from_json(std::move(text));
        return made;
    }

    /** Adds a member, without looking for an existing one with the same key: the library handles repeated keys. */
    Object& add(std::string_view key, const Value& value) {
        std::string& text = value_.text_;
        const std::size_t brace = text.find_last_of('}');
        if (brace != std::string::npos) {
            text.erase(brace);
            const std::size_t last = text.find_last_not_of(" \t\r\n");
            if (last != std::string::npos && text[last] != '{') text += ',';
            json::append(text, key);
            text += ':';
            text += value.text_;
            text += '}';
        }
        return *this;
    }

    const std::string& json() const& noexcept { return value_.json(); }
    std::string json() && {
        std::string text = std::move(value_).json();
        value_.text_ = "{}";
        return text;
    }

    operator Value() const { return value_; }

  private:
    Value value_;
};

}  // namespace mpflags

#endif
