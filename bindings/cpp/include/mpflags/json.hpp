/* mpflags/json.hpp: writes JSON for options and event properties. */
#ifndef MPFLAGS_JSON_HPP
#define MPFLAGS_JSON_HPP

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace mpflags::json {

inline void append(std::string& out, std::nullptr_t) { out += "null"; }

inline void append(std::string& out, bool value) { out += value ? "true" : "false"; }

inline void append(std::string& out, std::int64_t value) { out += std::to_string(value); }

inline void append(std::string& out, std::uint64_t value) { out += std::to_string(value); }

/* The shortest text that parses to the same number. NaN and infinities become `NaN` and `Infinity`, which is not
 * JSON: the library refuses them, and its error says where. */
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

/* Whether a JSON object has this key, at its top level and without escapes. */
inline bool has_key(std::string_view object, std::string_view key) noexcept {
    int depth = 0;
    while (!object.empty()) {
        const char first = object.front();
        std::size_t end = 1;
        if (first == '"') {
            while (end < object.size() && object[end] != '"') end += object[end] == '\\' ? 2 : 1;
            end++;
        }
        const std::string_view token = object.substr(0, end);
        object.remove_prefix(token.size());
        if (first == '{' || first == '[') depth++;
        if (first == '}' || first == ']') depth--;
        if (first != '"' || depth != 1 || token.substr(1, token.size() - 2) != key) continue;
        const std::size_t next = object.find_first_not_of(" \t\r\n");
        if (next != std::string_view::npos && object[next] == ':') return true;
    }
    return false;
}

}  // namespace mpflags::json

#endif
