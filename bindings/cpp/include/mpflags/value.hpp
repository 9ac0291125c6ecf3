/* mpflags/value.hpp: the values of contexts, options and event properties.
 *
 *   mpflags::Object user{{"distinct_id", "user-1"}, {"custom_properties", {{"plan", "premium"}, {"seats", 5}}}};
 *
 * Nothing is checked here: the library's error says what is wrong. A moved-from Value is null, a moved-from Object is
 * empty.
 */
#ifndef MPFLAGS_VALUE_HPP
#define MPFLAGS_VALUE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "mpflags/json.hpp"

namespace mpflags {

namespace detail {

/* A Value is one flat string: its kind in a byte, then a number, or the size of its text, elements or members and these.
 * A braced list copies its elements, and copying a tree would allocate memory for every value. */
enum class Held : char { Null, False, True, Int64, Uint64, Double, String, Array, Object, Json };

/* Makes room for `size` bytes at the end. Appending piece by piece would check the room for each. */
inline char* room(std::string& out, std::size_t size) {
    out.resize(out.size() + size);
    return out.data() + out.size() - size;
}

template <class Number>
char* put(char* at, Number number) noexcept {
    static_assert(std::is_arithmetic_v<Number> || std::is_enum_v<Number>);
    std::memcpy(at, &number, sizeof number);
    return at + sizeof number;
}

inline char* put_bytes(char* at, std::string_view bytes) noexcept { return at + bytes.copy(at, bytes.size()); }

constexpr std::size_t size_of_size = sizeof(std::uint32_t);

inline char* put_size(char* at, std::size_t size) {
    if (size > std::numeric_limits<std::uint32_t>::max()) throw std::length_error("mpflags: a value of 4 GiB");
    return put(at, static_cast<std::uint32_t>(size));
}

template <class Number>
Number take(std::string_view& rest) {
    Number number;
    std::memcpy(&number, rest.data(), sizeof number);
    rest.remove_prefix(sizeof number);
    return number;
}

inline std::string_view take_text(std::string_view& rest) {
    const std::size_t size = take<std::uint32_t>(rest);
    const std::string_view text = rest.substr(0, size);
    rest.remove_prefix(size);
    return text;
}

/* Passes the value that `rest` begins with to a function of the visitor, and removes it. */
template <class Visitor>
void visit(std::string_view& rest, Visitor&& visitor) {
    switch (static_cast<Held>(take<char>(rest))) {
        case Held::Null: return visitor.scalar(nullptr);
        case Held::False: return visitor.scalar(false);
        case Held::True: return visitor.scalar(true);
        case Held::Int64: return visitor.scalar(take<std::int64_t>(rest));
        case Held::Uint64: return visitor.scalar(take<std::uint64_t>(rest));
        case Held::Double: return visitor.scalar(take<double>(rest));
        case Held::String: return visitor.scalar(take_text(rest));
        case Held::Array: return visitor.array(take_text(rest));
        case Held::Object: return visitor.object(take_text(rest));
        case Held::Json: return visitor.json(take_text(rest));
    }
}

/* Writes a value as JSON. */
struct ToJson {
    std::string& out;

    template <class Scalar>
    void scalar(Scalar value) const {
        json::append(out, value);
    }
    void json(std::string_view text) const { out += text; }
    void array(std::string_view elements) const {
        out += '[';
        for (const std::size_t begin = out.size(); !elements.empty();) {
            if (out.size() > begin) out += ',';
            visit(elements, *this);
        }
        out += ']';
    }
    void object(std::string_view members) const {
        out += '{';
        for (const std::size_t begin = out.size(); !members.empty();) {
            if (out.size() > begin) out += ',';
            json::append(out, take_text(members));
            out += ':';
            visit(members, *this);
        }
        out += '}';
    }
};

/* The number as the type of a Value that holds every number of its own type. */
template <class Number>
auto widened(Number number) noexcept {
    if constexpr (std::is_same_v<Number, bool>) {
        return number;
    } else if constexpr (std::is_floating_point_v<Number>) {
        return static_cast<double>(number);
    } else if constexpr (std::is_signed_v<Number>) {
        return static_cast<std::int64_t>(number);
    } else {
        return static_cast<std::uint64_t>(number);
    }
}

/* RFC 3339 in UTC, with three, six or nine decimals if needed. */
inline std::string rfc3339(std::chrono::system_clock::time_point time) {
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
    std::snprintf(text, sizeof text, "%04lld-%02d-%02dT%02d:%02d:%02d", static_cast<long long>(year), month, day,
                  second / 3600, second / 60 % 60, second % 60);
    std::string out = text;
    if (fraction != 0) {
        const int digits = fraction % 1000000 == 0 ? 3 : fraction % 1000 == 0 ? 6 : 9;
        const long scale = digits == 3 ? 1000000 : digits == 6 ? 1000 : 1;
        std::snprintf(text, sizeof text, ".%0*ld", digits, fraction / scale);
        out += text;
    }
    return out += 'Z';
}

}  // namespace detail

struct Member;

/** A value. Numbers, booleans, strings and times convert implicitly; a braced list of pairs is an object. */
class Value {
  public:
    Value() noexcept { hold(detail::Held::Null); }
    Value(const Value&) = default;
    Value(Value&& other) noexcept : Value() { held_.swap(other.held_); }
    Value& operator=(const Value& other) { return *this = Value(other); }
    Value& operator=(Value&& other) noexcept {
        Value taken(std::move(other));
        held_.swap(taken.held_);
        return *this;
    }
    ~Value() = default;
    Value(std::nullptr_t) noexcept : Value() {}
    /** A null pointer, as from getenv, is null. */
    Value(const char* text) {
        if (text == nullptr) {
            hold(detail::Held::Null);
        } else {
            hold(detail::Held::String, std::string_view(text));
        }
    }
    Value(std::string_view text) { hold(detail::Held::String, text); }
    Value(const std::string& text) { hold(detail::Held::String, std::string_view(text)); }
    Value(std::chrono::system_clock::time_point time) {
        hold(detail::Held::String, std::string_view(detail::rfc3339(time)));
    }
    Value(std::initializer_list<Member> members);
    /** Any other number, and bool. Not char, which could be meant as a letter or as a number. */
    template <class T, std::enable_if_t<std::is_arithmetic_v<T> && !std::is_same_v<T, char>, int> = 0>
    Value(T value) {
        const auto number = detail::widened(value);
        using Wide = std::remove_const_t<decltype(number)>;
        if constexpr (std::is_same_v<Wide, bool>) {
            hold(number ? detail::Held::True : detail::Held::False);
        } else {
            hold(std::is_same_v<Wide, double>         ? detail::Held::Double
                 : std::is_same_v<Wide, std::int64_t> ? detail::Held::Int64
                                                      : detail::Held::Uint64,
                 number);
        }
    }
    template <class T>
    Value(const std::vector<T>& elements) {
        std::string content;
        for (const auto& element : elements) content += Value(T(element)).held_;
        hold(detail::Held::Array, std::string_view(content));
    }
    template <class T>
    Value(const std::map<std::string, T>& members) {
        std::string content;
        for (const auto& [key, value] : members) append(content, key, Value(value));
        hold(detail::Held::Object, std::string_view(content));
    }

    static Value array(std::initializer_list<Value> elements) { return std::vector<Value>(elements); }
    /** Uses the JSON text as it is. */
    static Value from_json(std::string_view text) {
        Value made;
        made.hold(detail::Held::Json, text);
        return made;
    }

    std::string json() const {
        std::string out;
        std::string_view rest = held_;
        detail::visit(rest, detail::ToJson{out});
        return out;
    }

  private:
    friend class Object;
    friend class Context;

    void hold(detail::Held kind) { held_.assign(1, static_cast<char>(kind)); }
    template <class Number>
    void hold(detail::Held kind, Number number) {
        held_.clear();
        detail::put(detail::put(detail::room(held_, 1 + sizeof number), kind), number);
    }
    void hold(detail::Held kind, std::string_view content) { detail::put_bytes(begin(kind, content.size()), content); }
    /* Makes room for the content, and returns where it begins. */
    char* begin(detail::Held kind, std::size_t size) {
        held_.clear();
        return detail::put_size(detail::put(detail::room(held_, 1 + detail::size_of_size + size), kind), size);
    }

    std::size_t size_as_member(std::string_view key) const noexcept {
        return detail::size_of_size + key.size() + held_.size();
    }
    char* put_as_member(char* at, std::string_view key) const {
        return detail::put_bytes(detail::put_bytes(detail::put_size(at, key.size()), key), held_);
    }
    static void append(std::string& members, std::string_view key, const Value& value) {
        value.put_as_member(detail::room(members, value.size_as_member(key)), key);
    }

    std::string held_;
};

/** A key and its value, as in {"plan", "premium"}. */
struct Member {
    std::string_view key;
    Value value;
};

inline Value::Value(std::initializer_list<Member> members) {
    std::size_t size = 0;
    for (const Member& member : members) size += member.value.size_as_member(member.key);
    char* at = begin(detail::Held::Object, size);
    for (const Member& member : members) at = member.value.put_as_member(at, member.key);
}

/** An object: a context, a configuration, the properties of an event. */
class Object {
  public:
    Object() = default;
    Object(std::initializer_list<Member> members) {
        for (const Member& member : members) add(member.key, member.value);
    }
    Object(const Object&) = default;
    Object(Object&& other) noexcept { swap(other); }
    Object& operator=(const Object& other) { return *this = Object(other); }
    Object& operator=(Object&& other) noexcept {
        Object taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~Object() = default;
    template <class T>
    Object(const std::map<std::string, T>& members) {
        for (const auto& [key, value] : members) add(key, value);
    }

    /** Uses the JSON text as it is. If it is not an object, the library's error says so. */
    static Object from_json(std::string text) {
        Object made;
        made.is_json_ = true;
        made.held_ = std::move(text);
        return made;
    }

    /** Adds a member, without looking for an existing one with the same key: the library handles repeated keys. */
    Object& add(std::string_view key, const Value& value) {
        if (!is_json_) {
            Value::append(held_, key, value);
            return *this;
        }
        const std::size_t brace = held_.find_last_of('}');
        if (brace != std::string::npos) {
            held_.erase(brace);
            const std::size_t last = held_.find_last_not_of(" \t\r\n");
            if (last != std::string::npos && held_[last] != '{') held_ += ',';
            json::append(held_, key);
            held_ += ':';
            held_ += value.json();
            held_ += '}';
        }
        return *this;
    }

    std::string json() const {
        if (is_json_) return held_;
        std::string out;
        detail::ToJson{out}.object(held_);
        return out;
    }

    operator Value() const {
        Value made;
        made.hold(is_json_ ? detail::Held::Json : detail::Held::Object, std::string_view(held_));
        return made;
    }

  private:
    friend class Context;

    void swap(Object& other) noexcept {
        std::swap(is_json_, other.is_json_);
        held_.swap(other.held_);
    }

    bool is_json_ = false;
    /* The members, or the JSON text. */
    std::string held_;
};

}  // namespace mpflags

#endif
