/* Reads the vectors in conformance/vectors, whose README describes the format. MPFLAGS_VECTORS is the path of that
 * folder. */
#ifndef MPFLAGS_TESTS_VECTORS_HPP
#define MPFLAGS_TESTS_VECTORS_HPP

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace vectors {

/* Keeps the order of members, so that a document is the same when written again. */
using Json = nlohmann::ordered_json;

inline std::filesystem::path folder() {
    const char* named = std::getenv("MPFLAGS_VECTORS");
    if (named == nullptr) throw std::runtime_error("MPFLAGS_VECTORS is not set");
    return named;
}

inline std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(path.string() + ": cannot be read");
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

inline void only(const Json& object, const std::set<std::string>& known, const std::string& where) {
    for (const auto& member : object.items()) {
        if (known.count(member.key()) == 0) throw std::runtime_error(where + ": unknown field " + member.key());
    }
}

/* All vectors of a suite with the fields `known`. An empty suite, an unknown field, an empty `why` and a repeated
 * name are errors. */
inline std::vector<Json> suite(const std::string& name, const std::set<std::string>& known) {
    std::vector<Json> all;
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder() / name)) {
        const std::string where = entry.path().string();
        const Json file = Json::parse(text_of(entry.path()));
        only(file, {"suite", "note", "vectors"}, where);
        if (file.at("suite") != name) throw std::runtime_error(where + ": wrong suite");
        if (file.at("vectors").empty()) throw std::runtime_error(where + ": no vectors");
        for (const Json& vector : file.at("vectors")) {
            const std::string called = vector.at("name");
            only(vector, known, called);
            if (!names.insert(called).second) throw std::runtime_error(called + ": repeated name");
            if (vector.at("why").get<std::string>().empty()) throw std::runtime_error(called + ": no why");
            all.push_back(vector);
        }
    }
    if (all.empty()) throw std::runtime_error(name + ": no vectors");
    return all;
}

/* Prints the result of a suite, and appends it to the file MPFLAGS_REPORT for `make conformance`. */
inline void report(const std::string& suite, std::size_t passed, std::size_t skipped, const std::string& reason = "") {
    std::cout << suite << ": " << passed << " of " << passed + skipped << " vectors " << reason << '\n';
    if (const char* path = std::getenv("MPFLAGS_REPORT")) {
        const Json line{
            {"layer", "C++"}, {"suite", suite}, {"passed", passed}, {"skipped", skipped}, {"reason", reason}};
        std::ofstream(path, std::ios::app) << line.dump() << '\n';
    }
}

/* The definitions that a vector's `flags` are: a file's name, an inline object, or JSON in a string. */
inline std::string document(const Json& flags) {
    if (!flags.is_string()) return flags.dump();
    const std::string text = flags;
    return text.rfind('{', 0) == 0 ? text : text_of(folder() / "flags" / text);
}

inline std::string text(const Json& json) { return json.is_string() ? json.get<std::string>() : json.dump(); }

/* Numbers are compared by value, so 2 equals 2.0, and integers exactly. */
inline bool same(const Json& a, const Json& b) {
    if (a.is_number() && b.is_number()) return a == b;
    if (a.is_array() && b.is_array()) {
        if (a.size() != b.size()) return false;
        for (std::size_t i = 0; i < a.size(); i++) {
            if (!same(a[i], b[i])) return false;
        }
        return true;
    }
    if (a.is_object() && b.is_object()) {
        if (a.size() != b.size()) return false;
        for (const auto& member : a.items()) {
            if (!b.contains(member.key()) || !same(member.value(), b.at(member.key()))) return false;
        }
        return true;
    }
    return a == b;
}

}  // namespace vectors

#endif
