/* Contexts as mpflags-dev receives them in a remote evaluation, and attributes that cannot be used. */
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <mpflags/client.hpp>

#include "dev.hpp"

namespace {

using mpflags::Client;
using mpflags::Context;
using mpflags::Object;
using mpflags::Status;
using mpflags::Value;
using nlohmann::json;

json sent(const Context& context) {
    static const Dev dev;
    static const Client client({{"token", "t"}, {"mode", "remote"}, {"api_host", dev.url()}});
    client.start();
    dev.remove("/__dev/requests");
    static_cast<void>(client.evaluate("flag", context));
    const auto requests = dev.get("/__dev/requests?at_least=1").at("requests");
    return json::parse(requests.at(0).at("query").at("context").get<std::string>());
}

TEST(Context, AllKindsOfValues) {
    const char* const missing = nullptr;
    const std::vector<const char*> words{"x", "y"};
    const Context context(
        {{"distinct_id", "a\"b\\\n\xc3\xa9"},
         {"least", std::numeric_limits<std::int64_t>::min()},
         {"most", std::numeric_limits<std::uint64_t>::max()},
         {"beyond", std::uint64_t{1} << 63},
         {"ratio", 0.1},
         {"", true},
         {"none", nullptr},
         {"missing", missing},
         {"zero", std::string("a\0b", 3)},
         {"time", std::chrono::system_clock::time_point()},
         {"words", words},
         {"mixed", Value::array({1, "x", nullptr, Value::array({}), {{"k", false}}})},
         {"map", std::map<std::string, int>{{"k", 1}}},
         {"cart", Value::from_json(R"({"items": [1, 2.5]})")},
         {"empty", Object()},
         {"custom_properties", {{"plan", "premium"}, {"app", {{"version", "2.0.0"}}}, {"seats", 5}}}});
    EXPECT_EQ(sent(context), json::parse(R"({"distinct_id": "a\"b\\\n\u00e9", "least": -9223372036854775808,
        "most": 18446744073709551615, "beyond": 9223372036854775808, "ratio": 0.1, "": true, "none": null, "missing": null,
        "zero": "a\u0000b", "time": "1970-01-01T00:00:00Z", "words": ["x", "y"], "mixed": [1, "x", null, [], {"k": false}],
        "map": {"k": 1}, "cart": {"items": [1, 2.5]}, "empty": {},
        "custom_properties": {"plan": "premium", "app": {"version": "2.0.0"}, "seats": 5}})"));
}

TEST(Context, OfAnObjectAndOfText) {
    Object user{{"distinct_id", "u1"}};
    user.add("custom_properties", {{"plan", "free"}});
    const json want{{"distinct_id", "u1"}, {"custom_properties", {{"plan", "free"}}}};
    EXPECT_EQ(sent(Context(user)), want);
    EXPECT_EQ(sent(Context(user)), want) << "it can be used again";
    const Context moved(std::move(user));
    EXPECT_EQ(sent(moved), want);
    auto text = Object::from_json(R"({"distinct_id": "u1"})");
    EXPECT_EQ(sent(Context(text.add("custom_properties", {{"plan", "free"}}))), want);
    EXPECT_EQ(sent(Context()), json::object());
    EXPECT_EQ(sent(Context(Object())), json::object());
}

/* What the attribute `bad` makes of a flag bucketed by it; a flag that does not read it has a value. */
std::string message_of(const Context& context) {
    static const Client client({{"token", "t"},
                                {"enable_polling", false},
                                {"report_exposures", false},
                                {"definitions", Value::from_json(R"({"flags": [
            {"key": "reads", "context": "bad", "ruleset": {"variants": [{"key": "on", "value": true}],
                "rollout": [{"rollout_percentage": 1}]}},
            {"key": "other", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true}],
                "rollout": [{"rollout_percentage": 1}]}}]})")}});
    EXPECT_TRUE(client.get_boolean("other", context, false));
    return std::string(client.evaluate("reads", context).message());
}

std::string message(const Value& bad) { return message_of(Context({{"distinct_id", "u1"}, {"bad", bad}})); }

TEST(Context, UnusableAttributesAreNamed) {
    EXPECT_EQ(message("fine"), "");
    EXPECT_EQ(message(std::nan("")), "context: bad: a number that is not finite");
    EXPECT_EQ(message(std::vector<double>{1, -INFINITY}), "context: bad[1]: a number that is not finite");
    EXPECT_EQ(message("\xff"), "context: bad: a string that is not UTF-8");
    EXPECT_EQ(message({{"k", {{"l", "\xed\xa0\x80"}}}}), "context: bad.k.l: a string that is not UTF-8");
    EXPECT_EQ(message({{"\xc3", 1}}), "context: bad.\xef\xbf\xbd: a key that is not UTF-8");
    EXPECT_EQ(message({{"\xc3", Value::array({1})}}), "context: bad.\xef\xbf\xbd: a key that is not UTF-8");
    EXPECT_EQ(message_of(Context({{"\xc3", 1}, {"distinct_id", "u1"}, {"bad", "fine"}})), "");
    Value deep = 1;
    for (int level = 2; level <= 127; level++) deep = Value::array({deep});
    EXPECT_EQ(message(deep), "the context has no usable `bad`") << "an array cannot be";
    const std::string why = message(Value::array({deep}));
    EXPECT_EQ(why.rfind("context: bad[0]", 0), 0) << why;
    EXPECT_NE(why.find("nested more than 127 levels deep"), std::string::npos) << why;
}

TEST(Context, ErrorsNameTheAttribute) {
    const auto refused = [](const Object& members) -> std::string {
        try {
            const Context context(members);
        } catch (const mpflags::Error& error) {
            EXPECT_EQ(error.status(), Status::InvalidContext);
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(refused({{"cart", Value::from_json("{")}}).rfind("context: cart: EOF", 0), 0);
    EXPECT_EQ(refused({{"custom_properties", {{"a", "\xff"}, {"cart", Value::from_json("1, 2")}}}})
                  .rfind("context: custom_properties.cart: ", 0),
              0)
        << "text that cannot be used does not hide it";
    EXPECT_NE(refused(Object::from_json("{\"a\": NaN}")), "");
}

}  // namespace
