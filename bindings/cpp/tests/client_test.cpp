/* client.hpp against mpflags-dev: what is thrown, what is owned, and what comes out of the item stream. */
#include <gtest/gtest.h>

#include <algorithm>
#include <mpflags/client.hpp>
#include <thread>
#include <type_traits>

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
    /* Exposures would have nowhere to go. */
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

static_assert(!std::is_copy_constructible_v<Client> && std::is_nothrow_move_constructible_v<Client>);
static_assert(!std::is_copy_constructible_v<Context> && std::is_nothrow_move_constructible_v<Context>);
static_assert(!std::is_copy_constructible_v<Evaluation> && std::is_nothrow_move_assignable_v<Evaluation>);
static_assert(!std::is_copy_constructible_v<mpflags::Item> && std::is_nothrow_move_assignable_v<mpflags::Item>);

/* Looks into a temporary do not compile; what is kept gives them. */
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
constexpr bool kept_alone =
    compiles<Call, T&>&& compiles<Call, const T&> && !compiles<Call, T> && !compiles<Call, const T>;
static_assert(kept_alone<View, Evaluation>);
static_assert(kept_alone<Find, Evaluations> && kept_alone<Message, Evaluations>);
static_assert(kept_alone<Begin, Evaluations> && kept_alone<End, Evaluations>);
/* A temporary's text is a copy. */
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

TEST(Client, EvaluationsTellAll) {
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
    EXPECT_EQ(found.metadata_json(), "{\"experiment_id\":\"e-1\",\"is_experiment_active\":true}");
    const auto missing = client.evaluate("none", user);
    EXPECT_FALSE(missing);
    EXPECT_EQ(missing.error_code(), mpflags::ErrorCode::FlagNotFound);
    EXPECT_EQ(missing.variant().data(), nullptr);
    EXPECT_FALSE(missing.message().empty());
    /* Copies of a temporary's texts outlive it. */
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
    const auto told = nlohmann::json::parse(client.explain_json("bool", Context({{"distinct_id", "u1"}})));
    EXPECT_EQ(told.at("variant"), "on") << told;
    EXPECT_EQ(told.at("flag"), "bool") << told;
    EXPECT_EQ(told.at("subject").at("text"), "u1") << told;
    EXPECT_EQ(told.at("rollouts").size(), 1U) << told;
    const auto missing = nlohmann::json::parse(client.explain_json("none", Context()));
    EXPECT_EQ(missing.at("error_code"), "FLAG_NOT_FOUND") << missing;
    const Client remote({{"token", "t"}, {"mode", "remote"}});
    EXPECT_EQ(thrown([&] { static_cast<void>(remote.explain_json("bool", Context())); }), Status::InvalidArgument);
    EXPECT_EQ(thrown([&] { static_cast<void>(client.explain_json("\xff", Context())); }), Status::InvalidUtf8);
}

TEST(Client, OverridesComeFirst) {
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

TEST(Client, FailuresCarryTheLibrarysMessage) {
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
    EXPECT_EQ(client.state(), mpflags::State::Ready) << "evaluations go on";
}

TEST(Client, WhatWasMovedFromIsEmpty) {
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
    EXPECT_EQ(client.flush(seconds(20)), 0U);
    std::vector<std::string> names;
    const auto arrived = dev.events(6);
    for (const auto& event : arrived.at("events")) {
        EXPECT_TRUE(event.at("accepted").get<bool>()) << event;
        const auto& json = event.at("json");
        if (event.at("endpoint") == "/engage") {
            names.emplace_back("profile");
        } else if (json.at("event") == "Bought") {
            names.emplace_back("Bought");
        } else {
            names.push_back(json.at("properties").at("Experiment name"));
        }
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, (std::vector<std::string>{"Bought", "bool", "object", "profile", "text", "text"}));
    const auto statistics = nlohmann::json::parse(client.statistics_json());
    EXPECT_EQ(statistics.at("sent"), 6);
}

TEST(Client, AReadOfTheWrongTypeIsNoExposure) {
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
    EXPECT_EQ(nlohmann::json::parse(client.statistics_json()).at("enqueued"), 0);
    EXPECT_TRUE(client.get_boolean("bool", user, false));
    EXPECT_EQ(client.flush(seconds(20)), 0U);
    EXPECT_EQ(dev.events(1).at("counts").at("total"), 1);
}

TEST(Client, ItemsAsAPullLoop) {
    const Dev dev;
    const Client client(polling(dev));
    mpflags::Item item;
    EXPECT_EQ(item.kind(), mpflags::ItemKind::None);
    client.start();
    client.wait_ready(seconds(20));
    dev.put("/__dev/definitions", definitions);
    std::string changed;
    std::thread consumer([&] {
        mpflags::Item next;
        for (Status got; (got = client.next(next, milliseconds(20))) != Status::Closed;) {
            if (got != Status::Ok || next.kind() != mpflags::ItemKind::Change) continue;
            for (std::size_t i = 0; i < next.key_count(); i++) changed += std::string(next.key(i)) + " ";
            client.shutdown(seconds(5));
        }
    });
    consumer.join();
    EXPECT_EQ(changed, "bool object text ");
}

TEST(Client, ItemsAsAFunction) {
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
        EXPECT_EQ(thrown([&] { client.next(item, milliseconds(0)); }), Status::InvalidArgument);
        client.start();
        const auto deadline = std::chrono::steady_clock::now() + seconds(20);
        while (!ready && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(milliseconds(1));
        EXPECT_TRUE(ready);
        const Client moved = std::move(client);
        EXPECT_FALSE(held.expired());
    }
    EXPECT_TRUE(held.expired()) << "the function is destroyed with the client";
}

/* The exception ends in the callback: polling goes on, and each is counted. */
TEST(Client, ACallbackThatThrowsIsCounted) {
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
    EXPECT_TRUE(client.get_boolean("bool", user, false)) << "polled on";
    EXPECT_EQ(client.shutdown(seconds(20)), 0U);
    EXPECT_GE(taken, 2);
    EXPECT_EQ(client.exceptions_in_callback(), static_cast<std::uint64_t>(taken));
}

TEST(Client, RefusedCredentialsAndDeadServers) {
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

/* Nobody takes the event within shutdown_timeout_ms, and somebody would later. */
TEST(Client, WaitsAsLongAsItsOptionsSay) {
    const Dev dev;
    dev.fault({{"path", "/flags/definitions"}, {"kind", "hang"}});
    const Client client(polling(dev).add("init_timeout_ms", 50).add("shutdown_timeout_ms", 50));
    client.start();
    EXPECT_EQ(thrown([&] { client.wait_ready(); }), Status::Timeout);
    dev.put("/__dev/faults", R"([{"path": "*", "kind": "delay", "delay_ms": 3000}])");
    client.track("Bought", "u1");
    EXPECT_EQ(client.shutdown(), 1U);
    /* A time that the library has no number for is a long one, not the option's. */
    EXPECT_EQ(mpflags::detail::milliseconds(milliseconds::max()), MPFLAGS_TIMEOUT_CONFIGURED - 1);
    EXPECT_EQ(mpflags::detail::milliseconds(milliseconds(MPFLAGS_TIMEOUT_CONFIGURED)), MPFLAGS_TIMEOUT_CONFIGURED - 1);
    EXPECT_EQ(mpflags::detail::milliseconds(milliseconds::min()), 0U);
}

/* With a callback too: the requests are given up before they are answered. */
TEST(Client, TheDestructorKeepsToTheShutdownTimeout) {
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

TEST(Client, RemoteAnswersWithinTheTimeGiven) {
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

TEST(Names, NumbersThatAreNotKnown) {
    EXPECT_EQ(to_string(static_cast<mpflags::Reason>(99)), "UNKNOWN");
    EXPECT_EQ(to_string(static_cast<mpflags::ErrorCode>(99)), "GENERAL");
    EXPECT_EQ(to_string(static_cast<mpflags::State>(99)), "NONE");
    EXPECT_EQ(to_string(mpflags::Level::Warning), "WARNING");
    EXPECT_EQ(to_string(mpflags::ErrorCode::ProviderFatal), "PROVIDER_FATAL");
}

}  // namespace
