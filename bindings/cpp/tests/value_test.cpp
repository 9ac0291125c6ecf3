/* The JSON of contexts and options. The library parses it again and reports what is wrong. */
#include <gtest/gtest.h>

#include <clocale>
#include <limits>
#include <mpflags/client.hpp>
#include <nlohmann/json.hpp>

namespace {

using mpflags::Object;
using mpflags::Value;
using std::chrono::system_clock;

std::string text(const Value& value) { return value.json(); }

TEST(Value, Scalars) {
    EXPECT_EQ(text(nullptr), "null");
    EXPECT_EQ(text(true), "true");
    EXPECT_EQ(text(0), "0");
    EXPECT_EQ(text(-1), "-1");
    EXPECT_EQ(text(static_cast<unsigned char>(200)), "200");
    EXPECT_EQ(text(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
    EXPECT_EQ(text(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
    EXPECT_EQ(text("a\"b\\c\n\x01"), "\"a\\\"b\\\\c\\u000a\\u0001\"");
    EXPECT_EQ(text(std::string("a\0b", 3)), "\"a\\u0000b\"");
    EXPECT_EQ(text("\xc3\xa9"), "\"\xc3\xa9\"");
}

/* getenv returns a null pointer for an unset variable. */
TEST(Value, ANullPointerIsNull) {
    const char* const missing = nullptr;
    EXPECT_EQ(text(missing), "null");
    EXPECT_EQ(text({{"plan", missing}}), "{\"plan\":null}");
    EXPECT_EQ(text(std::vector<const char*>{"a", nullptr}), "[\"a\",null]");
}

TEST(Value, DoublesReadAsTheSameNumber) {
    EXPECT_EQ(text(0.1), "0.1");
    EXPECT_EQ(text(5.0), "5");
    EXPECT_EQ(text(1.5F), "1.5");
    const double all[] = {1.0 / 3, 1e22, 5e-324, std::numeric_limits<double>::max(), -0.0, 123456789.123456789, 1e-7};
    for (const double number : all) {
        EXPECT_EQ(nlohmann::json::parse(text(number)).get<double>(), number) << text(number);
    }
    EXPECT_EQ(text(std::numeric_limits<double>::quiet_NaN()), "NaN");
    EXPECT_EQ(text(-std::numeric_limits<double>::infinity()), "-Infinity");
}

/* Some locales have a decimal comma. */
TEST(Value, DoublesDoNotFollowTheLocale) {
    const char* found = nullptr;
    for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ru_RU.UTF-8"}) {
        if (found == nullptr) found = std::setlocale(LC_NUMERIC, name);
    }
    if (found == nullptr) std::cout << "no locale with a decimal comma is installed: checked only in the C locale\n";
    EXPECT_EQ(text(1234.5), "1234.5");
    EXPECT_EQ(text(-0.25), "-0.25");
    std::setlocale(LC_NUMERIC, "C");
}

TEST(Value, TimesAreRfc3339) {
    using std::chrono::microseconds;
    using std::chrono::nanoseconds;
    using std::chrono::seconds;
    const auto at = [](auto since) {
        return text(system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(since)));
    };
    EXPECT_EQ(at(seconds(0)), "\"1970-01-01T00:00:00Z\"");
    EXPECT_EQ(at(seconds(951782400)), "\"2000-02-29T00:00:00Z\"");
    EXPECT_EQ(at(seconds(1709251199)), "\"2024-02-29T23:59:59Z\"");
    EXPECT_EQ(at(seconds(-1)), "\"1969-12-31T23:59:59Z\"");
    EXPECT_EQ(at(seconds(-2203977600)), "\"1900-02-28T00:00:00Z\"");
    EXPECT_EQ(at(microseconds(1500000)), "\"1970-01-01T00:00:01.500Z\"");
    EXPECT_EQ(at(microseconds(-1)), "\"1969-12-31T23:59:59.999999Z\"");
    EXPECT_EQ(at(nanoseconds(1)), "\"1970-01-01T00:00:00.000000001Z\"");
}

TEST(Value, Structures) {
    EXPECT_EQ(text({{"a", 1}}), "{\"a\":1}");
    EXPECT_EQ(text({{"a", {{"b", "c"}}}, {"d", Value::array({1, "x", nullptr})}}),
              "{\"a\":{\"b\":\"c\"},\"d\":[1,\"x\",null]}");
    EXPECT_EQ(text(std::vector<bool>{true, false}), "[true,false]");
    EXPECT_EQ(text(std::vector<std::string>{"a", "b"}), "[\"a\",\"b\"]");
    EXPECT_EQ(text(std::map<std::string, std::vector<int>>{{"k", {1, 2}}}), "{\"k\":[1,2]}");
    EXPECT_EQ(text(Object{}), "{}");
    EXPECT_EQ(text(Value::array({})), "[]");
}

TEST(Value, ObjectsGrow) {
    EXPECT_EQ(Object{}.add("a", 1).add("b", "c").json(), "{\"a\":1,\"b\":\"c\"}");
    EXPECT_EQ(Object::from_json("{\"a\": {} } \n").add("b", 2).json(), "{\"a\": {} ,\"b\":2}");
    EXPECT_EQ(Object::from_json(" { } ").add("b", 2).json(), " { \"b\":2}");
    /* The library refuses it. */
    EXPECT_EQ(Object::from_json("[1]").add("b", 2).json(), "[1]");
}

mpflags::Error refused(const Object& members) {
    try {
        const mpflags::Context context(members);
    } catch (const mpflags::Error& error) {
        return error;
    }
    return {mpflags::Status::Ok, ""};
}

TEST(Value, TheLibraryReportsErrors) {
    EXPECT_EQ(refused(Object::from_json("[]")).status(), mpflags::Status::InvalidContext);
    EXPECT_EQ(refused({{"name", "\xc3\xa9"}, {"at", system_clock::now()}}).status(), mpflags::Status::Ok);
}

// NOLINTBEGIN(bugprone-use-after-move, clang-analyzer-cplusplus.Move): the test is about moved-from objects.
TEST(Value, MovedFromIsEmpty) {
    Value first{{"a", 1}};
    const Value second = std::move(first);
    EXPECT_EQ(second.json(), R"({"a":1})");
    EXPECT_EQ(first.json(), "null");
    Object object{{"a", 1}};
    const Object other = std::move(object);
    EXPECT_EQ(object.json(), "{}");
    EXPECT_EQ(object.add("b", 2).json(), R"({"b":2})");
    Object& same = object;
    object = std::move(same);
    EXPECT_EQ(object.json(), R"({"b":2})");
}
// NOLINTEND(bugprone-use-after-move, clang-analyzer-cplusplus.Move)

TEST(Value, Utf8) {
    for (const char* text : {"", "a", "\xc3\xa9", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
                             "\xf4\x8f\xbf\xbf"}) {
        EXPECT_TRUE(mpflags::detail::is_utf8(text)) << text;
    }
    for (const char* text : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "a\xc3z", "\xe0\x9f\xbf", "\xed\xa0\x80",
                             "\xef\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
        EXPECT_FALSE(mpflags::detail::is_utf8(text)) << text;
    }
}

TEST(Value, KeysOfTheTopLevel) {
    using mpflags::json::has_key;
    for (const char* text :
         {R"({"key": 1})", R"( { "a" : {"key":[]} , "key"	: null } )", R"({"a\":": "]}", "key":0})"}) {
        EXPECT_TRUE(has_key(text, "key")) << text;
    }
    for (const char* text :
         {"", "key", "{}", R"({"a": "key"})", R"({"a": {"key": 1}})", R"([{"key": 1}])", R"({"a": ["key"]})",
          R"({"keys": 1})", R"({"a\"key": 1})", R"({"a": "\"key\": "})", "\"", "{\"key"}) {
        EXPECT_FALSE(has_key(text, "key")) << text;
    }
}

}  // namespace
