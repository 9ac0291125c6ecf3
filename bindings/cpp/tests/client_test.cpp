/* client.hpp against mpflags-dev: errors, ownership, events and items. */
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <mpflags/client.hpp>
#include <thread>
#include <type_traits>
#include <vector>

#include "dev.hpp"

namespace {

using mpflags::Client;
using mpflags::Context;
using mpflags::Evaluation;
using mpflags::Evaluations;
using mpflags::EvaluationView;
using mpflags::Object;
using mpflags::Status;
using std::chrono::milliseconds;
using std::chrono::seconds;

const char* const definitions = R"({"flags": [
    {"key": "bool", "context": "distinct_id", "experiment_id": "e-1", "is_experiment_active": true,
     "ruleset": {"variants": [{"key": "on", "value": true, "split": 1}], "rollout": [{"rollout_percentage": 1}]}},
    {"key": "text", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "v", "value": "a\u0000b", "split": 1}], "rollout": [{"rollout_percentage": 1}]}},
    {"key": "object", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "v", "value": {"a": [1, null]}, "split": 1}],
                 "rollout": [{"rollout_percentage": 1}]}}]})";

Object fixed() {
    /* There is no server for exposures. */
    return Object{{"token", "t"},
                  {"enable_polling", false},
                  {"report_exposures", false},
                  {"definitions", mpflags::Value::from_json(definitions)}};
}

Object polling(const Dev& dev) {
    return Object{
        {"token", "t"}, {"api_host", dev.url()}, {"polling_interval_ms", 50}, {"event_flush_interval_ms", 20}};
}

template <class Call>
Status thrown(Call call) {
    try {
        call();
    } catch (const mpflags::Error& error) {
        EXPECT_STRNE(error.what(), "");
        return error.status();
    }
    return Status::Ok;
}

/* Types that own a handle can be moved but not copied. */
template <class T>
constexpr bool move_only =
    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> && std::is_nothrow_move_constructible_v<T> &&
    std::is_nothrow_move_assignable_v<T> && std::is_nothrow_swappable_v<T>;
static_assert(move_only<Client> && move_only<Context> && move_only<Evaluation> && move_only<Evaluations> &&
              move_only<mpflags::Item>);
static_assert(!std::is_constructible_v<mpflags::UserId, std::nullptr_t>);

/* Views of a temporary do not compile; views of a named object do. */
static_assert(std::is_convertible_v<Evaluation&, EvaluationView> &&
              std::is_convertible_v<const Evaluation&, EvaluationView>);
static_assert(!std::is_convertible_v<Evaluation, EvaluationView> &&
              !std::is_convertible_v<const Evaluation, EvaluationView>);
static_assert(!std::is_constructible_v<EvaluationView, Evaluation> &&
              !std::is_assignable_v<EvaluationView&, Evaluation>);
static_assert(!std::is_constructible_v<std::optional<EvaluationView>, Evaluation>);

template <class T>
using View = decltype(std::declval<T>().view());
template <class T>
using Find = decltype(std::declval<T>().find("key"));
template <class T>
using Message = decltype(std::declval<T>().message());
template <class T>
using Begin = decltype(std::declval<T>().begin());
template <class T>
using End = decltype(std::declval<T>().end());

template <template <class> class Call, class T, class = void>
constexpr bool compiles = false;
template <template <class> class Call, class T>
constexpr bool compiles<Call, T, std::void_t<Call<T>>> = true;
template <template <class> class Call, class T>
constexpr bool only_for_lvalues =
    compiles<Call, T&>&& compiles<Call, const T&> && !compiles<Call, T> && !compiles<Call, const T>;
static_assert(only_for_lvalues<View, Evaluation>);
static_assert(only_for_lvalues<Find, Evaluations> && only_for_lvalues<Message, Evaluations>);
static_assert(only_for_lvalues<Begin, Evaluations> && only_for_lvalues<End, Evaluations>);
/* The strings of a temporary are copies. */
static_assert(std::is_same_v<Message<Evaluation>, std::string> &&
              std::is_same_v<Message<Evaluation&>, std::string_view>);

TEST(Client, ReadsWithDefaults) {
    const Client client(fixed());
    const Context user({{"distinct_id", "u1"}});
    EXPECT_TRUE(client.get_boolean("bool", user, false));
    EXPECT_EQ(client.get_string("text", user, "none"), std::string("a\0b", 3));
    EXPECT_EQ(client.get_json("object", user, "{}"), "{\"a\":[1,null]}");
    EXPECT_EQ(client.get_string("bool", user, "none"), "none");
    EXPECT_EQ(client.get_int64("bool", user, -7), -7);
    EXPECT_EQ(client.get_double("none", user, 0.5), 0.5);
    EXPECT_EQ(client.get_string("text", Context(), "none"), "none");
    EXPECT_EQ(client.get_string("\xff", user, "none"), "none");
    EXPECT_EQ(client.get_json(std::string_view(), user, "none"), "none");
}

TEST(Client, EvaluationsHaveAllDetails) {
    const Client client(fixed());
    const Context user({{"distinct_id", "u1"}});
    const auto found = client.evaluate("bool", user, mpflags::Type::Boolean);
    EXPECT_TRUE(found && found.boolean());
    EXPECT_EQ(found.variant(), "on");
    EXPECT_EQ(found.reason(), mpflags::Reason::Static);
    EXPECT_EQ(found.error_code(), mpflags::ErrorCode::None);
    EXPECT_EQ(found.experiment_id(), "e-1");
    EXPECT_EQ(found.is_experiment_active(), std::optional<bool>(true));
    EXPECT_EQ(found.message().data(), nullptr);
    EXPECT_EQ(found.metadata_json(), "{\"experiment_id\":\"e-1\",\"is_experiment_active\":true,\"contextId\":\"u1\"}");
    const auto missing = client.evaluate("none", user);
    EXPECT_FALSE(missing);
    EXPECT_EQ(missing.error_code(), mpflags::ErrorCode::FlagNotFound);
    EXPECT_EQ(missing.variant().data(), nullptr);
    EXPECT_FALSE(missing.message().empty());
    /* The strings of a temporary outlive it. */
    const auto text = client.evaluate("text", user).string();
    static_assert(std::is_same_v<decltype(text), const std::string>);
    EXPECT_EQ(text, std::string("a\0b", 3));
}

TEST(Client, EvaluationsOutliveTheClientAndTheContext) {
    std::optional<Evaluation> kept;
    {
        const Client client(fixed());
        const Context user({{"distinct_id", "u1"}});
        kept = client.evaluate("object", user);
    }
    EXPECT_EQ(kept->json(), "{\"a\":[1,null]}");
    Evaluation moved = std::move(*kept);
    EXPECT_EQ(moved.variant(), "v");
    EXPECT_FALSE(kept->has_value());
    moved = std::move(moved);
    kept.reset();
}

TEST(Client, AllFlagsInOrder) {
    const Client client(fixed());
    const auto all = client.evaluate_all(Context({{"distinct_id", "u1"}}));
    std::string keys;
    for (const EvaluationView flag : all) keys += std::string(flag.key()) + " ";
    EXPECT_EQ(keys, "bool object text ");
    EXPECT_EQ(all.failure(), mpflags::ErrorCode::None);
    EXPECT_EQ(all.find("bool")->variant(), "on");
    EXPECT_FALSE(all.find("none").has_value());
}

TEST(Client, ExplainsAnEvaluation) {
    const Client client(fixed());
    const auto found = nlohmann::json::parse(client.explain("bool", Context({{"distinct_id", "u1"}})));
    EXPECT_EQ(found.at("variant"), "on") << found;
    EXPECT_EQ(found.at("flag"), "bool") << found;
    EXPECT_EQ(found.at("subject").at("text"), "u1") << found;
    EXPECT_EQ(found.at("rollouts").size(), 1U) << found;
    const auto missing = nlohmann::json::parse(client.explain("none", Context()));
    EXPECT_EQ(missing.at("error_code"), "FLAG_NOT_FOUND") << missing;
    const Client remote({{"token", "t"}, {"mode", "remote"}});
    EXPECT_EQ(thrown([&] { static_cast<void>(remote.explain("bool", Context())); }), Status::InvalidArgument);
    EXPECT_EQ(thrown([&] { static_cast<void>(client.explain("\xff", Context())); }), Status::InvalidUtf8);
}

TEST(Client, OverridesWin) {
    const Client client(fixed());
    const Context user({{"distinct_id", "u1"}});
    client.set_override("bool", false);
    EXPECT_FALSE(client.get_boolean("bool", user, true));
    client.set_override("object", {{"b", 2}});
    EXPECT_EQ(client.get_json("object", user, ""), "{\"b\":2}");
    client.clear_override("bool");
    EXPECT_TRUE(client.get_boolean("bool", user, false));
    EXPECT_EQ(thrown([&] { client.set_override("bool", mpflags::Value::from_json("{")); }), Status::InvalidArgument);
}

TEST(Client, ErrorsHaveTheLibrarysMessage) {
    try {
        const Client client({{"token", "t"}, {"polling_interval_ms", 0}});
        FAIL();
    } catch (const mpflags::Error& error) {
        EXPECT_EQ(error.status(), Status::InvalidConfig);
        EXPECT_NE(std::string(error.what()).find("polling_interval_ms"), std::string::npos) << error.what();
    }
    EXPECT_EQ(thrown([] { Client::from_json("[]"); }), Status::InvalidConfig);
    EXPECT_EQ(thrown([] { Client::from_json(""); }), Status::InvalidConfig);
    EXPECT_EQ(thrown([] { Context::from_json("1"); }), Status::InvalidContext);
    const Client client(fixed());
    EXPECT_EQ(thrown([&] { client.evaluate("\xff", Context()); }), Status::InvalidUtf8);
    EXPECT_EQ(thrown([&] { client.evaluate("bool", Context(), static_cast<mpflags::Type>(99)); }),
              Status::InvalidArgument);
    const Client idle({{"token", "t"}});
    EXPECT_EQ(thrown([&] { idle.wait_ready(seconds(-1)); }), Status::InvalidArgument) << "never started";
    client.start();
    EXPECT_EQ(client.shutdown(seconds(5)), 0U);
    EXPECT_EQ(client.shutdown(seconds(5)), 0U) << "twice";
    EXPECT_EQ(thrown([&] { client.track("Event", "u1"); }), Status::Closed);
    EXPECT_EQ(client.state(), mpflags::State::Ready) << "still evaluates";
}

TEST(Client, MovedFromIsEmpty) {
    Client first(fixed());
    Client second = std::move(first);
    const Context user({{"distinct_id", "u1"}});
    EXPECT_TRUE(second.get_boolean("bool", user, false));
    EXPECT_FALSE(first.get_boolean("bool", user, false));
    EXPECT_EQ(first.get_string("text", user, "none"), "none");
    EXPECT_EQ(thrown([&] { first.start(); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.evaluate("bool", user); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.on_item([](const mpflags::ItemView&) {}); }), Status::NullArgument);
    EXPECT_EQ(first.exceptions_in_callback(), 0U);
    first = Client(fixed());
    EXPECT_TRUE(first.get_boolean("bool", user, false));
}

TEST(Client, MovedFromIsDefined) {
    Client first(fixed());
    Client second(fixed());
    second.set_override("bool", false);
    const Context user({{"distinct_id", "u1"}});
    std::swap(first, second);
    EXPECT_FALSE(first.get_boolean("bool", user, true));
    EXPECT_TRUE(second.get_boolean("bool", user, false));
    Client& same = first;
    first = std::move(same);
    EXPECT_FALSE(first.get_boolean("bool", user, true)) << "moved to itself";

    const Client taken = std::move(first);
    for (int twice = 0; twice < 2; twice++) {
        EXPECT_EQ(thrown([&] { first.shutdown(seconds(1)); }), Status::NullArgument);
        EXPECT_EQ(thrown([&] { first.shutdown(); }), Status::NullArgument);
    }
    EXPECT_EQ(thrown([&] { first.wait_ready(); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.refresh(); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.flush(seconds(1)); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.evaluate_all(user); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.evaluate_json("bool", "{}"); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.explain("bool", user); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.statistics(); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.track("Bought", "u1"); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.people_update("$set", "u1", Object()); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.set_override("bool", true); }), Status::NullArgument);
    EXPECT_EQ(thrown([&] { first.clear_override("bool"); }), Status::NullArgument);
    mpflags::Item item;
    EXPECT_EQ(thrown([&] { first.next_item(item, milliseconds(0)); }), Status::NullArgument);
    EXPECT_EQ(first.state(), mpflags::State::None);
    EXPECT_EQ(first.get_int64("bool", user, 7), 7);
    EXPECT_EQ(first.get_double("bool", user, 7.5), 7.5);
    EXPECT_EQ(first.get_json("bool", user, "d"), "d");

    Context whose({{"distinct_id", "u1"}});
    const Context other = std::move(whose);
    EXPECT_EQ(second.evaluate("bool", whose).error_code(), mpflags::ErrorCode::TargetingKeyMissing) << "the empty one";
    auto found = second.evaluate("bool", other);
    const auto kept = std::move(found);
    EXPECT_TRUE(kept.has_value());
    EXPECT_FALSE(found.has_value());
    EXPECT_EQ(found.reason(), mpflags::Reason::Unknown);
    EXPECT_EQ(found.variant().data(), nullptr);
    EXPECT_EQ(thrown([&] { second.track_exposure(found); }), Status::NullArgument);
    auto all = second.evaluate_all(other);
    const auto held = std::move(all);
    EXPECT_EQ(held.size(), 3U);
    EXPECT_TRUE(all.empty() && all.begin() == all.end() && !all.find("bool") && all.message().data() == nullptr);
}

TEST(Client, ManyInOneVector) {
    std::vector<Client> clients;
    for (int i = 0; i < 20; i++) {
        clients.emplace_back(fixed());
        clients.back().set_override("number", i);
        clients.back().start();
    }
    std::rotate(clients.begin(), clients.begin() + 7, clients.end());
    clients.erase(clients.begin() + 3);
    const Context user;
    for (std::size_t i = 0; i < clients.size(); i++) {
        const auto wanted = static_cast<std::int64_t>((i + 7 + (i >= 3 ? 1 : 0)) % 20);
        EXPECT_EQ(clients[i].get_int64("number", user, -1), wanted);
    }
    EXPECT_EQ(clients.front().shutdown(seconds(5)), 0U);
    clients.clear();
}

/* getenv returns a null pointer for an unset variable. */
TEST(Client, EventsWithoutAUser) {
    const Client client(fixed());
    const char* const nobody = nullptr;
    EXPECT_EQ(thrown([&] { client.track("Bought", nobody); }), Status::InvalidArgument);
    EXPECT_EQ(thrown([&] { client.track("Bought", ""); }), Status::InvalidArgument);
    EXPECT_EQ(thrown([&] { client.people_update("$set", nobody, Object{{"a", 1}}); }), Status::InvalidArgument);
    EXPECT_EQ(thrown([&] { client.people_update("$set", "", Object{{"a", 1}}); }), Status::InvalidArgument);
    EXPECT_EQ(thrown([&] { client.group_update("$set", "company", "", Object{{"a", 1}}); }), Status::InvalidArgument);
}

TEST(Client, EventsOfAnotherTime) {
    const Dev dev;
    const Client client(polling(dev));
    client.start();
    const auto time = std::chrono::system_clock::time_point(milliseconds(1772362800250));
    const Object properties{{"when", time}};
    client.track("Bought", "u1", properties, time);
    EXPECT_EQ(client.flush(seconds(20)), 0U);
    const auto event = dev.events(1).at("events").at(0);
    EXPECT_TRUE(event.at("accepted")) << event;
    EXPECT_EQ(event.at("json").at("properties").at("time"), 1772362800250);
    EXPECT_EQ(event.at("json").at("properties").at("when"), "2026-03-01T11:00:00.250Z");
    EXPECT_EQ(thrown([&] { client.track("Bought", "u1", {}, time - std::chrono::hours(24 * 365 * 100)); }),
              Status::InvalidArgument);
}

/* An unusable value makes only the flags that read it fail. */
TEST(Client, UnusableAttributes) {
    const Client client(fixed().add("overrides", Object()));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double infinity = std::numeric_limits<double>::infinity();
    for (const mpflags::Value& value : {mpflags::Value(nan), mpflags::Value(infinity), mpflags::Value(-infinity),
                                        mpflags::Value("\xff"), mpflags::Value(std::vector<double>{1, nan}),
                                        mpflags::Value("\xed\xa0\x80 \\\" NaN"), mpflags::Value({{"\xc3", "NaN"}})}) {
        SCOPED_TRACE(value.json());
        const Context top({{"distinct_id", "u1"}, {"bad", value}});
        EXPECT_TRUE(client.get_boolean("bool", top, false));
        const Context nested({{"distinct_id", "u1"}, {"custom_properties", {{"bad", value}, {"age", 31}}}});
        EXPECT_TRUE(client.get_boolean("bool", nested, false));
    }
    for (const mpflags::Value& value : {mpflags::Value(nan), mpflags::Value("\xff"), mpflags::Value(-infinity)}) {
        const auto read = client.evaluate("bool", Context({{"distinct_id", value}, {"age", 31}}));
        EXPECT_EQ(read.error_code(), mpflags::ErrorCode::InvalidContext);
        EXPECT_NE(read.message().find("distinct_id"), std::string::npos) << read.message();
    }
    EXPECT_EQ(thrown([] { Context::from_json("{\"a\": NaN}"); }), Status::InvalidContext);
    EXPECT_EQ(thrown([] { Context::from_json("{\"a\": \"\xff\"}"); }), Status::InvalidUtf8);
    EXPECT_EQ(thrown([&] { client.track("Bought", "u1", {{"price", nan}}); }), Status::InvalidArgument);
}

/* Lost events are returned, and the callback gets the log line about them before the client is destroyed. */
TEST(Client, LostEventsAreReported) {
    for (const bool by_hand : {true, false}) {
        const Dev dev;
        dev.fault({{"path", "/track"}, {"kind", "status"}, {"status", 503}});
        std::vector<std::string> lines;
        {
            Client client(polling(dev).add("shutdown_timeout_ms", 300).add("event_retry_base_ms", 50));
            client.on_item([&lines](const mpflags::ItemView& item) {
                if (item.level() == mpflags::Level::Warning &&
                    item.message().find("not delivered") != std::string_view::npos) {
                    lines.emplace_back(item.message());
                }
            });
            client.start();
            for (int i = 0; i < 5; i++) client.track("Bought", "u1");
            if (by_hand) {
                EXPECT_EQ(client.shutdown(), 5U);
                EXPECT_EQ(client.shutdown(), 0U) << "twice";
            }
        }
        ASSERT_EQ(lines.size(), 1U);
        EXPECT_NE(lines[0].find("5 events were not delivered"), std::string::npos) << lines[0];
    }
    const Dev dev;
    dev.fault({{"path", "/track"}, {"kind", "status"}, {"status", 503}});
    const Client client(polling(dev).add("shutdown_timeout_ms", 300));
    client.start();
    client.track("Bought", "u1");
    EXPECT_EQ(client.shutdown(), 1U);
    int lines = 0;
    mpflags::Item item;
    for (Status got; (got = client.next_item(item, milliseconds(0))) != Status::Closed;) {
        if (got == Status::Ok && item.message().find("not delivered") != std::string_view::npos) lines++;
    }
    EXPECT_EQ(lines, 1) << "remaining items come before Closed";
}

/* Even if polling is off. The change is reported as an item. */
TEST(Client, RefreshesOnDemand) {
    const Dev dev;
    const auto serve = [&dev](int value) {
        const nlohmann::json flag = {{"key", "number"},
                                     {"context", "distinct_id"},
                                     {"ruleset",
                                      {{"variants", {{{"key", "v"}, {"value", value}, {"split", 1}}}},
                                       {"rollout", {{{"rollout_percentage", 1}}}}}}};
        dev.put("/__dev/definitions", nlohmann::json{{"flags", {flag}}}.dump());
    };
    serve(1);
    const Client client(polling(dev).add("enable_polling", false).add("request_timeout_ms", 20000));
    const Context user({{"distinct_id", "u1"}});
    EXPECT_EQ(thrown([&] { client.refresh(seconds(20)); }), Status::InvalidArgument) << "never started";
    client.start();
    client.wait_ready(seconds(20));
    for (int value = 2; value < 5; value++) {
        serve(value);
        EXPECT_EQ(client.get_int64("number", user, -1), value - 1);
        if (value == 2) {
            client.refresh();
        } else {
            client.refresh(seconds(20));
        }
        EXPECT_EQ(client.get_int64("number", user, -1), value);
    }
    mpflags::Item item;
    std::string changed;
    while (client.next_item(item, seconds(0)) == Status::Ok) {
        if (item.kind() == mpflags::ItemKind::Change) changed = std::string(*item.keys().begin());
    }
    EXPECT_EQ(changed, "number");
    dev.fault({{"path", "/flags/definitions"}, {"kind", "hang"}});
    EXPECT_EQ(thrown([&] { client.refresh(milliseconds(50)); }), Status::Timeout);
    dev.fault({{"path", "/flags/definitions"}, {"kind", "status"}, {"status", 401}});
    EXPECT_EQ(client.get_int64("number", user, -1), 4) << "keeps its definitions";
    client.shutdown(seconds(5));
    EXPECT_EQ(thrown([&] { client.refresh(seconds(5)); }), Status::Closed);
}

TEST(Client, NamesItself) {
    const Dev dev;
    {
        const Client client(polling(dev));
        client.start();
        client.wait_ready(seconds(20));
    }
    const auto request = dev.get("/__dev/requests").at("requests").at(0);
    const std::string agent = request.at("headers").at("user-agent");
    EXPECT_NE(agent.find("cpp/0.1"), std::string::npos) << agent;
    dev.remove("/__dev/requests");
    {
        const Client client(polling(dev).add("wrapper", "shop/7"));
        client.start();
        client.wait_ready(seconds(20));
    }
    const std::string own = dev.get("/__dev/requests").at("requests").at(0).at("headers").at("user-agent");
    EXPECT_NE(own.find("shop/7"), std::string::npos) << own;
    EXPECT_EQ(own.find("cpp/"), std::string::npos) << own;
}

/* "wrapper" may also be a flag, a value or a nested key. */
TEST(Client, NamesItselfWhateverFlagsAreCalled) {
    for (const char* const overrides :
         {R"({"wrapper": true})", R"({"a": "wrapper"})", R"({"a\"": {"b": [{"wrapper" : 1}]}})"}) {
        SCOPED_TRACE(overrides);
        const Dev dev;
        const Client client(polling(dev).add("overrides", mpflags::Value::from_json(overrides)));
        client.start();
        client.wait_ready(seconds(20));
        const std::string agent = dev.get("/__dev/requests").at("requests").at(0).at("headers").at("user-agent");
        EXPECT_NE(agent.find("cpp/0.1"), std::string::npos) << agent;
    }
}

TEST(Client, ExposuresAndEventsArrive) {
    const Dev dev;
    dev.put("/__dev/definitions", definitions);
    const Client client(polling(dev));
    client.start();
    client.wait_ready(seconds(20));
    const Context user({{"distinct_id", "u1"}});
    EXPECT_TRUE(client.get_boolean("bool", user, false));
    const auto quiet = client.evaluate("text", user, mpflags::Type::String, {false, {}});
    client.track_exposure(quiet);
    client.track_exposure(client.evaluate("object", user, mpflags::Type::Object, {false, {}}));
    const auto all = client.evaluate_all(Context({{"distinct_id", "u2"}}));
    client.track_exposure(*all.find("text"));
    client.track("Bought", "u1", {{"price", 9.5}});
    client.people_update("$set", "u1", {{"plan", "premium"}});
    client.group_update("$set", "company", "acme", {{"seats", 5}});
    EXPECT_EQ(client.flush(seconds(20)), 0U);
    std::vector<std::string> names;
    const auto arrived = dev.events(7);
    for (const auto& event : arrived.at("events")) {
        EXPECT_TRUE(event.at("accepted").get<bool>()) << event;
        const auto& json = event.at("json");
        if (event.at("endpoint") == "/engage") {
            names.emplace_back("profile");
        } else if (event.at("endpoint") == "/groups") {
            EXPECT_EQ(json.at("$set"), nlohmann::json({{"seats", 5}}));
            names.emplace_back("group");
        } else if (json.at("event") == "Bought") {
            names.emplace_back("Bought");
        } else {
            names.push_back(json.at("properties").at("Experiment name"));
        }
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, (std::vector<std::string>{"Bought", "bool", "group", "object", "profile", "text", "text"}));
    const auto statistics = nlohmann::json::parse(client.statistics());
    EXPECT_EQ(statistics.at("sent"), 7);
}

TEST(Client, WrongTypesAreNotExposed) {
    const Dev dev;
    dev.put("/__dev/definitions", definitions);
    const Client client(polling(dev));
    client.start();
    client.wait_ready(seconds(20));
    const Context user({{"distinct_id", "u1"}});
    EXPECT_TRUE(client.get_boolean("text", user, true));
    EXPECT_EQ(client.get_int64("bool", user, 5), 5);
    EXPECT_EQ(client.get_double("text", user, 2.5), 2.5);
    EXPECT_EQ(client.get_string("object", user, "mine"), "mine");
    EXPECT_EQ(client.get_json("bool", user, "[]"), "[]");
    const auto mismatch = client.evaluate("text", user, mpflags::Type::Boolean);
    EXPECT_EQ(mismatch.error_code(), mpflags::ErrorCode::TypeMismatch);
    EXPECT_EQ(client.evaluate_json("bool", R"({"distinct_id": "u1"})", mpflags::Type::Object).error_code(),
              mpflags::ErrorCode::TypeMismatch);
    try {
        client.track_exposure(mismatch);
        FAIL() << "an exposure of a type mismatch";
    } catch (const mpflags::Error& error) {
        EXPECT_EQ(error.status(), Status::InvalidArgument);
    }
    EXPECT_EQ(client.flush(seconds(20)), 0U);
    EXPECT_EQ(nlohmann::json::parse(client.statistics()).at("enqueued"), 0);
    EXPECT_TRUE(client.get_boolean("bool", user, false));
    EXPECT_EQ(client.flush(seconds(20)), 0U);
    EXPECT_EQ(dev.events(1).at("counts").at("total"), 1);
}

TEST(Client, ItemsInALoop) {
    const Dev dev;
    const Client client(polling(dev));
    mpflags::Item item;
    EXPECT_EQ(item.kind(), mpflags::ItemKind::None);
    EXPECT_TRUE(item.keys().empty());
    for (const std::string_view key : item.keys()) FAIL() << key;
    client.start();
    client.wait_ready(seconds(20));
    dev.put("/__dev/definitions", definitions);
    std::string changed;
    std::thread consumer([&] {
        mpflags::Item next;
        for (Status got; (got = client.next_item(next, milliseconds(20))) != Status::Closed;) {
            if (got != Status::Ok || next.kind() != mpflags::ItemKind::Change) continue;
            EXPECT_EQ(next.keys().size(), 3U);
            for (const std::string_view key : next.keys()) changed += std::string(key) + " ";
            client.shutdown(seconds(5));
        }
    });
    consumer.join();
    EXPECT_EQ(changed, "bool object text ");
}

TEST(Client, ItemsInACallback) {
    const Dev dev;
    std::atomic<bool> ready{false};
    auto alive = std::make_shared<int>(1);
    const std::weak_ptr<int> held = alive;
    {
        Client client(polling(dev));
        client.on_item([&ready, alive](const mpflags::ItemView& item) {
            if (item.kind() == mpflags::ItemKind::State && item.state() == mpflags::State::Ready) ready = true;
        });
        alive.reset();
        EXPECT_EQ(thrown([&] { client.on_item([](const mpflags::ItemView&) {}); }), Status::InvalidArgument);
        EXPECT_EQ(thrown([&] { client.on_item(nullptr); }), Status::NullArgument);
        mpflags::Item item;
        EXPECT_EQ(thrown([&] { client.next_item(item, milliseconds(0)); }), Status::InvalidArgument);
        client.start();
        const auto deadline = std::chrono::steady_clock::now() + seconds(20);
        while (!ready && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(milliseconds(1));
        EXPECT_TRUE(ready);
        const Client moved = std::move(client);
        EXPECT_FALSE(held.expired());
    }
    EXPECT_TRUE(held.expired()) << "the callback is destroyed with the client";
}

/* Exceptions of a callback are caught and counted, and polling continues. */
TEST(Client, ExceptionsInACallbackAreCounted) {
    const Dev dev;
    Client client(polling(dev));
    std::atomic<int> taken{0};
    client.on_item([&](const mpflags::ItemView&) {
        taken++;
        throw std::runtime_error("from the callback");
    });
    client.start();
    client.wait_ready(seconds(20));
    const Context user({{"distinct_id", "u1"}});
    dev.put("/__dev/definitions", definitions);
    const auto deadline = std::chrono::steady_clock::now() + seconds(20);
    while (!client.get_boolean("bool", user, false) && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(milliseconds(5));
    }
    EXPECT_TRUE(client.get_boolean("bool", user, false)) << "still polling";
    EXPECT_EQ(client.shutdown(seconds(20)), 0U);
    EXPECT_GE(taken, 2);
    EXPECT_EQ(client.exceptions_in_callback(), static_cast<std::uint64_t>(taken));
}

/* A table of two rows without columns. */
ArrowArrayStream two_rows() {
    ArrowArrayStream stream{};
    stream.get_schema = [](ArrowArrayStream*, ArrowSchema* out) {
        *out = ArrowSchema{};
        out->format = "+s";
        out->release = [](ArrowSchema* schema) { schema->release = nullptr; };
        return 0;
    };
    stream.get_next = [](ArrowArrayStream* self, ArrowArray* out) {
        static const void* no_nulls[] = {nullptr};
        *out = ArrowArray{};
        if (self->private_data == nullptr) {
            out->length = 2;
            out->n_buffers = 1;
            out->buffers = no_nulls;
            out->release = [](ArrowArray* array) { array->release = nullptr; };
            self->private_data = out;
        }
        return 0;
    };
    stream.get_last_error = [](ArrowArrayStream*) -> const char* { return nullptr; };
    stream.release = [](ArrowArrayStream* self) { self->release = nullptr; };
    return stream;
}

TEST(Client, Tables) {
    ArrowArrayStream results = [] {
        ArrowArrayStream users = two_rows();
        ArrowArrayStream made = Client(fixed()).evaluate_table(&users, R"({"flags": ["bool"], "dictionary": false})");
        EXPECT_EQ(users.release, nullptr);
        return made;
    }();
    ArrowArray batch{};
    ASSERT_EQ(results.get_next(&results, &batch), 0);
    ASSERT_EQ(batch.length, 2);
    /* Both rows lack distinct_id. */
    const ArrowArray& error = *batch.children[0]->children[3];
    EXPECT_EQ(std::string_view(static_cast<const char*>(error.buffers[2]), 21), "TARGETING_KEY_MISSING");
    batch.release(&batch);
    ASSERT_EQ(results.get_next(&results, &batch), 0);
    EXPECT_EQ(batch.release, nullptr);
    results.release(&results);

    ArrowArrayStream users = two_rows();
    try {
        Client(fixed()).evaluate_table(&users, R"({"keep": ["none"]})");
        FAIL();
    } catch (const mpflags::Error& refused) {
        EXPECT_EQ(refused.status(), Status::InvalidArgument);
        EXPECT_STREQ(refused.what(), "options: keep: the table has no column `none`");
    }
    EXPECT_EQ(users.release, nullptr);
}

TEST(Client, RefusedCredentialsAndHangingServers) {
    const Dev dev({"--token", "another"});
    const Client client(polling(dev));
    client.start();
    EXPECT_EQ(thrown([&] { client.wait_ready(seconds(20)); }), Status::CredentialsRefused);
    const Dev hanging;
    hanging.fault({{"path", "/flags/definitions"}, {"kind", "hang"}});
    const Client waiting(polling(hanging));
    waiting.start();
    EXPECT_EQ(thrown([&] { waiting.wait_ready(milliseconds(50)); }), Status::Timeout);
    EXPECT_EQ(waiting.state(), mpflags::State::NotReady);
}

/* The server would accept the event, but only after shutdown_timeout_ms. */
TEST(Client, WaitsAsLongAsItsOptionsSay) {
    const Dev dev;
    dev.fault({{"path", "/flags/definitions"}, {"kind", "hang"}});
    const Client client(polling(dev).add("init_timeout_ms", 50).add("shutdown_timeout_ms", 50));
    client.start();
    EXPECT_EQ(thrown([&] { client.wait_ready(); }), Status::Timeout);
    dev.put("/__dev/faults", R"([{"path": "*", "kind": "delay", "delay_ms": 3000}])");
    client.track("Bought", "u1");
    EXPECT_EQ(client.shutdown(), 1U);
    /* A time beyond the library's range becomes the longest time, not the configured one. */
    EXPECT_EQ(mpflags::detail::milliseconds(milliseconds::max()), MPFLAGS_TIMEOUT_CONFIGURED - 1);
    EXPECT_EQ(mpflags::detail::milliseconds(milliseconds(MPFLAGS_TIMEOUT_CONFIGURED)), MPFLAGS_TIMEOUT_CONFIGURED - 1);
    EXPECT_EQ(mpflags::detail::milliseconds(milliseconds::min()), 0U);
}

/* Even with a callback. The requests are abandoned before the server responds. */
TEST(Client, TheDestructorObeysTheShutdownTimeout) {
    const Dev dev;
    dev.fault({{"path", "*"}, {"kind", "delay"}, {"delay_ms", 3000}});
    {
        Client client(polling(dev).add("shutdown_timeout_ms", 50));
        client.on_item([](const mpflags::ItemView&) {});
        client.start();
        client.track("Bought", "u1");
        dev.get("/__dev/requests?at_least=2");
    }
    const auto requests = dev.get("/__dev/requests").at("requests");
    for (const auto& request : requests) EXPECT_TRUE(request.at("status").is_null()) << request;
}

TEST(Client, RemoteEvaluationsObeyTheirTimeout) {
    const Dev dev;
    dev.put("/__dev/definitions", definitions);
    const Client client(Object{{"token", "t"}, {"api_host", dev.url()}, {"mode", "remote"}});
    client.start();
    const Context user({{"distinct_id", "u1"}});
    EXPECT_EQ(client.evaluate("bool", user).reason(), mpflags::Reason::TargetingMatch);
    EXPECT_EQ(client.evaluate_all(user, seconds(20)).size(), 3U);
    dev.fault({{"path", "/flags"}, {"kind", "hang"}});
    const auto late = client.evaluate("bool", user, mpflags::Type::Any, {true, milliseconds(50)});
    EXPECT_EQ(late.error_code(), mpflags::ErrorCode::General);
    const auto none = client.evaluate_all(user, milliseconds(50));
    EXPECT_EQ(none.failure(), mpflags::ErrorCode::General);
    EXPECT_FALSE(none.message().empty());
}

template <class Name>
void named(Name name, std::string_view expected) {
    std::ostringstream out;
    out << name;
    EXPECT_EQ(out.str(), expected);
    EXPECT_EQ(to_string(name), expected);
    EXPECT_EQ(to_string(static_cast<Name>(99)), "unknown");
}

TEST(Names, OfEveryEnumeration) {
    named(Status::InvalidConfig, "INVALID_CONFIG");
    named(mpflags::State::NotReady, "NOT_READY");
    named(mpflags::Type::Int64, "INT64");
    named(mpflags::Kind::Boolean, "BOOLEAN");
    named(mpflags::Reason::TargetingMatch, "TARGETING_MATCH");
    named(mpflags::ErrorCode::ProviderFatal, "PROVIDER_FATAL");
    named(mpflags::Level::Warning, "WARNING");
}

}  // namespace
