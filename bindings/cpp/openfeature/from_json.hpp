// openfeature::Value from the library's JSON, which is compact and well formed. Part of provider.cpp.
#ifndef MPFLAGS_OPENFEATURE_FROM_JSON_HPP
#define MPFLAGS_OPENFEATURE_FROM_JSON_HPP

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <locale>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "openfeature/value.h"

namespace mpflags::openfeature::detail {

using ::openfeature::Value;

class Reader {
  public:
    explicit Reader(std::string_view json) : rest_(json) {}

    Value value() {
        switch (peek()) {
            case '{': return object();
            case '[': return array();
            case '"': return Value(string());
            case 't': return skip(4), Value(true);
            case 'f': return skip(5), Value(false);
            case 'n': return skip(4), Value();
            default: return number();
        }
    }

  private:
    char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
    void skip(std::size_t count) { rest_.remove_prefix(std::min(count, rest_.size())); }
    bool take(char c) {
        if (peek() != c) return false;
        skip(1);
        return true;
    }

    Value object() {
        std::map<std::string, Value> members;
        skip(1);
        while (!rest_.empty() && !take('}')) {
            std::string key = string();
            skip(1);
            members.insert_or_assign(std::move(key), value());
            take(',');
        }
        return Value(members);
    }

    Value array() {
        std::vector<Value> elements;
        skip(1);
        while (!rest_.empty() && !take(']')) {
            elements.push_back(value());
            take(',');
        }
        return Value(elements);
    }

    std::string string() {
        std::string text;
        skip(1);
        while (!rest_.empty() && !take('"')) {
            const char c = peek();
            skip(1);
            if (c == '\\') {
                escape(text);
            } else {
                text += c;
            }
        }
        return text;
    }

    void escape(std::string& text) {
        const char c = peek();
        skip(1);
        switch (c) {
            case 'b': text += '\b'; break;
            case 'f': text += '\f'; break;
            case 'n': text += '\n'; break;
            case 'r': text += '\r'; break;
            case 't': text += '\t'; break;
            case 'u': {
                unsigned code = hex();
                if (code >= 0xD800 && code < 0xDC00 && rest_.substr(0, 2) == "\\u") {
                    skip(2);
                    code = 0x10000 + ((code - 0xD800) << 10) + (hex() - 0xDC00);
                }
                utf8(text, code);
                break;
            }
            default: text += c; break;
        }
    }

    unsigned hex() {
        unsigned code = 0;
        const std::string_view digits = rest_.substr(0, 4);
        std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
        skip(4);
        return code;
    }

    static void utf8(std::string& text, unsigned code) {
        const auto put = [&](unsigned byte) { text += static_cast<char>(byte); };
        if (code < 0x80) return put(code);
        if (code < 0x800) return put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
        if (code < 0x10000) return put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
        put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 0x3F)), put(0x80 | (code >> 6 & 0x3F)),
            put(0x80 | (code & 0x3F));
    }

    Value number() {
        const std::size_t end = std::min(rest_.find_first_not_of("+-.0123456789eE"), rest_.size());
        const std::string_view text = rest_.substr(0, end);
        // At least one byte, so that the reader always ends.
        skip(std::max<std::size_t>(end, 1));
        if (text.find_first_of(".eE") == std::string_view::npos) {
            std::int64_t whole = 0;
            const auto read = std::from_chars(text.data(), text.data() + text.size(), whole);
            if (read.ec == std::errc()) return Value(whole);
        }
        // A stream with the classic locale. strtod uses the program's locale, and not every standard library has
        // from_chars for doubles.
        std::istringstream stream{std::string(text)};
        stream.imbue(std::locale::classic());
        double number = 0;
        stream >> number;
        return Value(number);
    }

    std::string_view rest_;
};

}  // namespace mpflags::openfeature::detail

#endif
