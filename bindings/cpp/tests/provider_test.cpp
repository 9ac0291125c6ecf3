/* The provider, mostly called directly, since the SDK's client hides reason, variant and message. */
#include <gtest/gtest.h>
#include <mpflags/openfeature/provider.h>

#include <cmath>
#include <limits>
#include <thread>

#include "dev.hpp"
#include "openfeature/openfeature_api.h"
#include "vectors.hpp"

namespace {

using mpflags::Object;
using mpflags::openfeature::Provider;
using ::openfeature::EvaluationContext;
using ::openfeature::Value;
using std::chrono::milliseconds;
using std::chrono::seconds;
using vectors::Json;

const char* const definitions = R"({"flags": [
    {"key": "flag", "context": "distinct_id",
     "ruleset": {"variants": [{"key": "on", "value": true, "split": 1}], "rollout": [{"rollout_percentage": 1}]}}]})";

std::shared_ptr<Provider> made(absl::StatusOr<std::shared_ptr<Provider>> provider) {
    if (!provider.ok()) throw std::runtime_error(std::string(provider.status().message()));
    return *provider;
}

/* There is no server for exposures. */
Object fixed() {
    return Object{{"enable_polling", false},
                  {"report_exposures", false},
                  {"definitions", mpflags::Value::from_json(definitions)}};
}

Object polling(const Dev& dev) { return Object{{"api_host", dev.url()}, {"polling_interval_ms", 50}}; }

EvaluationContext user() { return EvaluationContext::Builder().WithAttribute("distinct_id", "u1").build(); }

// ---- The vectors.

std::any any_of(const Json& json) {
    if (json.is_string()) return json.get<std::string>();
    if (json.is_boolean()) return json.get<bool>();
    if (json.is_number_unsigned()) return json.get<std::uint64_t>();
    if (json.is_number_integer()) return json.get<std::int64_t>();
    if (json.is_number_float()) return json.get<double>();
    if (json.is_array()) {
        std::vector<std::any> list;
        for (const auto& element : json) list.push_back(any_of(element));
        return list;
    }
    if (json.is_object()) {
        std::map<std::string, std::any> map;
        for (const auto& member : json.items()) map[member.key()] = any_of(member.value());
        return map;
    }
    return {};
}

Value value_of(const Json& json) {
    if (json.is_string()) return Value(json.get<std::string>());
    if (json.is_boolean()) return Value(json.get<bool>());
    if (json.is_number_integer()) return Value(json.get<std::int64_t>());
    if (json.is_number_float()) return Value(json.get<double>());
    if (json.is_array()) {
        std::vector<Value> list;
        for (const auto& element : json) list.push_back(value_of(element));
        return Value(list);
    }
    if (json.is_object()) {
        std::map<std::string, Value> map;
        for (const auto& member : json.items()) map.insert_or_assign(member.key(), value_of(member.value()));
        return Value(map);
    }
    return Value();
}

EvaluationContext context_of(const Json& vector) {
    EvaluationContext::Builder builder;
    if (vector.contains("targeting_key")) builder.WithTargetingKey(vector.at("targeting_key"));
    const Json attributes = vector.value("attributes", Json::object());
    for (const auto& member : attributes.items()) builder.WithAttribute(member.key(), any_of(member.value()));
    if (vector.contains("nan_attribute")) builder.WithAttribute(vector.at("nan_attribute"), std::any(std::nan("")));
    return builder.build();
}

std::string name_of(::openfeature::Reason reason) {
    using ::openfeature::Reason;
    switch (reason) {
        case Reason::kStatic: return "STATIC";
        case Reason::kDefault: return "DEFAULT";
        case Reason::kTargetingMatch: return "TARGETING_MATCH";
        case Reason::kSplit: return "SPLIT";
        case Reason::kDisabled: return "DISABLED";
        case Reason::kError: return "ERROR";
        default: return "unexpected";
    }
}

std::string name_of(std::optional<::openfeature::ErrorCode> code) {
    using ::openfeature::ErrorCode;
    if (!code) return "";
    switch (*code) {
        case ErrorCode::kProviderNotReady: return "PROVIDER_NOT_READY";
        case ErrorCode::kFlagNotFound: return "FLAG_NOT_FOUND";
        case ErrorCode::kParseError: return "PARSE_ERROR";
        case ErrorCode::kTypeMismatch: return "TYPE_MISMATCH";
        case ErrorCode::kTargetingKeyMissing: return "TARGETING_KEY_MISSING";
        case ErrorCode::kInvalidContext: return "INVALID_CONTEXT";
        case ErrorCode::kProviderFatal: return "PROVIDER_FATAL";
        case ErrorCode::kGeneral: return "GENERAL";
    }
    return "unexpected";
}

Json metadata_of(const ::openfeature::FlagMetadata& metadata) {
    Json json = Json::object();
    for (const auto& [key, value] : metadata.data) {
        std::visit([&json, &name = key](const auto& held) { json[name] = held; }, value);
    }
    return json;
}

bool equal(const Json& want, bool got) { return want.is_boolean() && want == got; }
bool equal(const Json& want, const std::string& got) { return want.is_string() && want == got; }
bool equal(const Json& want, std::int64_t got) { return want.is_number_integer() && want == got; }
bool equal(const Json& want, double got) { return want.is_number() && want.get<double>() == got; }
bool equal(const Json& want, const Value& got) { return value_of(want) == got; }

template <class Resolution>
void check(const Json& want, const Resolution& resolution) {
    ASSERT_TRUE(resolution.ok()) << std::string(resolution.status().message());
    const auto& details = **resolution;
    EXPECT_TRUE(equal(want.at("value"), details.GetValue()));
    EXPECT_EQ(want.at("reason"), name_of(details.GetReason()));
    EXPECT_EQ(want.value("error_code", ""), name_of(details.GetErrorCode()));
    EXPECT_EQ(want.value("variant", ""), details.GetVariant().value_or(""));
    EXPECT_EQ(want.contains("variant"), details.GetVariant().has_value());
    EXPECT_EQ(details.GetErrorMessage().has_value(), want.contains("error_code"));
    EXPECT_TRUE(vectors::same(want.value("metadata", Json::object()), metadata_of(details.GetFlagMetadata())))
        << metadata_of(details.GetFlagMetadata());
    const std::string message = details.GetErrorMessage().value_or("");
    if (want.contains("message")) {
        EXPECT_EQ(want.at("message"), message);
    }
    const Json parts = want.value("message_has", Json::array());
    for (const std::string part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(ProviderVectors, All) {
    const auto cases = vectors::suite("provider", {"name", "config", "flags", "setup", "key", "type", "default",
                                                   "targeting_key", "attributes", "nan_attribute", "want", "why"});
    const Dev healthy;
    const Dev refusing;
    refusing.fault({{"path", "/flags/definitions"}, {"kind", "status"}, {"status", 401}});
    const Dev failing;
    failing.fault({{"path", "/flags"}, {"kind", "status"}, {"status", 500}});
    for (const Json& vector : cases) {
        SCOPED_TRACE(vector.at("name").get<std::string>());
        const Json& want = vector.at("want");
        vectors::only(want, {"value", "reason", "error_code", "message", "message_has", "variant", "metadata"},
                      vector.at("name"));
        Object options;
        const Json extra = vector.value("config", Json::object());
        for (const auto& member : extra.items()) {
            options.add(member.key(), mpflags::Value::from_json(member.value().dump()));
        }
        const std::string setup = vector.value("setup", "");
        std::shared_ptr<Provider> provider;
        if (setup.empty()) {
            options.add("api_host", healthy.url()).add("enable_polling", false);
            options.add("definitions", mpflags::Value::from_json(vectors::document(vector.at("flags"))));
            provider = made(Provider::Local("t", options));
            const auto status = provider->Init(EvaluationContext::Builder().build());
            ASSERT_TRUE(status.ok()) << std::string(status.message());
        } else if (setup == "not_started") {
            provider = made(Provider::Local("t", options));
        } else if (setup == "refused") {
            provider = made(Provider::Local("t", options.add("api_host", refusing.url())));
            const auto status = provider->Init(EvaluationContext::Builder().build());
            EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
            EXPECT_EQ(std::string(status.message()).rfind("Mixpanel refused the credentials: HTTP 401 from ", 0), 0)
                << std::string(status.message());
        } else if (setup == "unanswered") {
            provider = made(Provider::Remote("t", options.add("api_host", failing.url())));
            EXPECT_TRUE(provider->Init(EvaluationContext::Builder().build()).ok());
        } else {
            FAIL() << "unknown setup " << setup;
        }
        const std::string key = vector.at("key");
        const std::string type = vector.at("type");
        const Json& fallback = vector.at("default");
        const auto context = context_of(vector);
        if (type == "boolean") {
            check(want, provider->GetBooleanEvaluation(key, fallback, context));
        } else if (type == "string") {
            check(want, provider->GetStringEvaluation(key, fallback.get<std::string>(), context));
        } else if (type == "integer") {
            check(want, provider->GetIntegerEvaluation(key, fallback, context));
        } else if (type == "double") {
            check(want, provider->GetDoubleEvaluation(key, fallback, context));
        } else if (type == "object") {
            check(want, provider->GetObjectEvaluation(key, value_of(fallback), context));
        } else {
            FAIL() << "unknown type " << type;
        }
    }
    if (!HasFailure()) vectors::report("provider", cases.size(), 0);
}

// ---- Contexts, as mpflags-dev receives them in a remote evaluation.

Json sent(const EvaluationContext& context) {
    static const Dev dev;
    static const auto provider = [] {
        auto remote = made(Provider::Remote("t", Object{{"api_host", dev.url()}}));
        EXPECT_TRUE(remote->Init(EvaluationContext::Builder().build()).ok());
        return remote;
    }();
    dev.remove("/__dev/requests");
    const auto details = provider->GetBooleanEvaluation("flag", false, context);
    EXPECT_TRUE(details.ok());
    const auto requests = dev.get("/__dev/requests?at_least=1").at("requests");
    return Json::parse(requests.at(0).at("query").at("context").get<std::string>());
}

TEST(ProviderContext, EveryTypeOfAny) {
    using std::chrono::system_clock;
    static const char text[] = "text";
    const std::vector<std::pair<std::any, Json>> all = {
        {true, true},
        {7, 7},
        {std::int64_t{-9007199254740993}, -9007199254740993},
        {-7LL, -7},
        {std::uint64_t{18446744073709551615U}, 18446744073709551615U},
        {7U, 7},
        {static_cast<short>(7), 7},
        {static_cast<unsigned char>(200), 200},
        {1.5, 1.5},
        {1.5F, 1.5},
        {5.0, 5},
        {std::string("a\"b"), "a\"b"},
        {std::string_view("view"), "view"},
        {static_cast<const char*>(text), "text"},
        {static_cast<const char*>(nullptr), nullptr},
        {nullptr, nullptr},
        {std::any(), nullptr},
        {system_clock::time_point(milliseconds(1500)), "1970-01-01T00:00:01.500Z"},
        {std::vector<std::any>{1, std::string("x"), std::vector<std::any>{}}, {1, "x", Json::array()}},
        {std::vector<std::string>{"a", "b"}, {"a", "b"}},
        {std::vector<bool>{true, false}, {true, false}},
        {std::vector<double>{0.5}, Json::array({0.5})},
        {std::map<std::string, std::any>{{"k", 1}}, {{"k", 1}}},
        {std::map<std::string, std::string>{{"k", "v"}}, {{"k", "v"}}},
        {std::unordered_map<std::string, std::any>{{"k", true}}, {{"k", true}}},
        {Value(true), true},
        {Value(std::int64_t{9007199254740993}), 9007199254740993},
        {Value(std::numeric_limits<std::int64_t>::min()), std::numeric_limits<std::int64_t>::min()},
        {Value(2.5), 2.5},
        {Value(1e300), 1e300},
        {Value("v"), "v"},
        {Value(), nullptr},
        {Value(system_clock::time_point(seconds(1))), "1970-01-01T00:00:01Z"},
        {Value(std::vector<Value>{Value(1), Value("x")}), {1, "x"}},
        {Value(std::map<std::string, Value>{{"k", Value(std::vector<Value>{})}}), {{"k", Json::array()}}},
        {std::vector<Value>{Value(1)}, Json::array({1})},
    };
    for (const auto& [given, want] : all) {
        const auto context = EvaluationContext::Builder()
                                 .WithTargetingKey("key")
                                 .WithAttribute("distinct_id", "u1")
                                 .WithAttribute("x", given)
                                 .build();
        const Json got = sent(context);
        EXPECT_EQ(got, (Json{{"targetingKey", "key"}, {"distinct_id", "u1"}, {"x", want}})) << given.type().name();
    }
    const auto twice = EvaluationContext::Builder()
                           .WithTargetingKey("key")
                           .WithAttribute("targetingKey", "attribute")
                           .WithAttribute("distinct_id", "u1")
                           .build();
    EXPECT_EQ(sent(twice).at("targetingKey"), "key");
}

/* A flag bucketed by `key` fails, and one that does not read it has a value. */
void expect_unusable(const std::string& key, const EvaluationContext& context, const std::string& part) {
    const auto flag = [](const std::string& name, const std::string& by) {
        return Json{{"key", name},
                    {"context", by},
                    {"ruleset",
                     {{"variants", Json::array({{{"key", "on"}, {"value", true}, {"split", 1}}})},
                      {"rollout", Json::array({{{"rollout_percentage", 1}}})}}}};
    };
    const Json document{{"flags", Json::array({flag("reads", key), flag("other", "distinct_id")})}};
    const auto provider =
        made(Provider::Local("t", Object{{"enable_polling", false},
                                         {"report_exposures", false},
                                         {"definitions", mpflags::Value::from_json(document.dump())}}));
    const auto other = provider->GetBooleanEvaluation("other", false, context);
    ASSERT_TRUE(other.ok());
    EXPECT_TRUE((*other)->GetValue()) << (*other)->GetErrorMessage().value_or("");
    const auto resolution = provider->GetBooleanEvaluation("reads", false, context);
    ASSERT_TRUE(resolution.ok());
    EXPECT_FALSE((*resolution)->GetValue());
    EXPECT_EQ((*resolution)->GetErrorCode(), ::openfeature::ErrorCode::kInvalidContext);
    const std::string message = (*resolution)->GetErrorMessage().value_or("");
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

struct Custom {};

TEST(ProviderContext, UnusableAttributesAreNamed) {
    const auto with = [](const std::string& key, std::any value) {
        return EvaluationContext::Builder()
            .WithAttribute("distinct_id", "u1")
            .WithAttribute(key, std::move(value))
            .build();
    };
    expect_unusable("thing", with("thing", Custom{}), "context: thing: a C++ value of type");
    expect_unusable("thing", with("thing", std::vector<std::any>{Custom{}}), "context: thing[0]: a C++ value of type");
    expect_unusable("score", with("score", std::numeric_limits<double>::infinity()), "score");
    expect_unusable("name", with("name", std::string("\xff")), "context: name: a string that is not UTF-8");
    expect_unusable("targetingKey",
                    EvaluationContext::Builder().WithTargetingKey("\xff").WithAttribute("distinct_id", "u1").build(),
                    "context: targetingKey: a string that is not UTF-8");
    std::any deep = 1;
    for (int i = 0; i < 1000; i++) deep = std::vector<std::any>{deep};
    expect_unusable("deep", with("deep", deep), "deep");
    const auto provider = made(Provider::Local("t", fixed()));
    const auto resolution = provider->GetBooleanEvaluation("\xff", true, user());
    ASSERT_TRUE(resolution.ok());
    EXPECT_EQ((*resolution)->GetErrorCode(), ::openfeature::ErrorCode::kGeneral)
        << "it is the key that is wrong, not the context";
    const auto nameless = provider->GetBooleanEvaluation("flag", false, with("\xff", 1));
    ASSERT_TRUE(nameless.ok());
    EXPECT_TRUE((*nameless)->GetValue()) << "no flag can read such a key";
}

/* An override does not depend on the context, in any language. */
TEST(ProviderContext, OverridesIgnoreIt) {
    const auto provider = made(Provider::Local("t", fixed().add("overrides", {{"flag", false}})));
    const auto context = EvaluationContext::Builder().WithAttribute("thing", std::any(Custom{})).build();
    const auto resolution = provider->GetBooleanEvaluation("flag", true, context);
    ASSERT_TRUE(resolution.ok());
    EXPECT_FALSE((*resolution)->GetValue());
    EXPECT_EQ((*resolution)->GetVariant(), "override");
}

// ---- Values.

TEST(ProviderValue, EveryKindOfJson) {
    const std::string document =
        R"({"s": "\u0001\b\f\n\r\t\"\\/ Gr\u00fcn \ud83d\ude00 \u20ac", "i": -9223372036854775808,
        "big": 18446744073709551615, "d": 0.1, "e": 1e-7, "l": [1, 2.5, null, true, [], {}], "t": true, "f": false,
        "n": null, "o": {"nested": {"deep": [{"x": "y"}]}}, "": ""})";
    const auto provider =
        made(Provider::Local("t", fixed().add("overrides", {{"o", mpflags::Value::from_json(document)}})));
    const auto resolution = provider->GetObjectEvaluation("o", Value(), user());
    ASSERT_TRUE(resolution.ok());
    const Value got = (*resolution)->GetValue();
    const Json want = Json::parse(document);
    ASSERT_NE(got.AsStructure(), nullptr);
    EXPECT_EQ(got.AsStructure()->size(), want.size());
    for (const auto& [key, value] : *got.AsStructure()) {
        if (key == "big") {
            EXPECT_EQ(value.AsDouble(), 18446744073709551616.0);
        } else {
            EXPECT_TRUE(value == value_of(want.at(key))) << key;
        }
    }
}

TEST(ProviderValue, IsTheCallersOwn) {
    const auto provider = made(Provider::Local("t", fixed().add("overrides", {{"o", {{"a", 1}}}})));
    auto first = provider->GetObjectEvaluation("o", Value(), user());
    ASSERT_TRUE(first.ok());
    first->reset();
    const auto second = provider->GetObjectEvaluation("o", Value(), user());
    EXPECT_EQ((*second)->GetValue().AsStructure()->at("a").AsInt(), 1);
}

// ---- Life.

TEST(ProviderLife, AWrongOptionIsNamed) {
    const auto local = Provider::Local("t", Object{{"polling_interval_ms", 0}});
    ASSERT_FALSE(local.ok());
    EXPECT_EQ(local.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(local.status().message()).find("polling_interval_ms"), std::string::npos);
    EXPECT_FALSE(Provider::Local("t", Object{{"token", "again"}}).ok());
    EXPECT_FALSE(Provider::Remote("").ok());
    EXPECT_FALSE(Provider::Wrap(nullptr).ok());
}

TEST(ProviderLife, NameAndClient) {
    const auto client = std::make_shared<mpflags::Client>(fixed().add("token", "t"));
    const auto provider = made(Provider::Wrap(client));
    EXPECT_EQ(provider->client(), client);
    EXPECT_EQ(provider->GetMetadata().name, "mixpanel-provider");
    EXPECT_TRUE(provider->GetHooks().empty());
}

TEST(ProviderLife, RecoversAfterAFailedInit) {
    const Dev dev;
    dev.put("/__dev/definitions", definitions);
    dev.fault({{"path", "/flags/definitions"}, {"kind", "status"}, {"status", 503}});
    const auto provider = made(Provider::Local("t", polling(dev).add("init_timeout_ms", 100).add("retry_base_ms", 10)));
    const auto status = provider->Init(EvaluationContext::Builder().build());
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_NE(std::string(status.message()).find("HTTP 503"), std::string::npos) << std::string(status.message());
    EXPECT_EQ((*provider->GetBooleanEvaluation("flag", false, user()))->GetErrorCode(),
              ::openfeature::ErrorCode::kProviderNotReady);
    dev.remove("/__dev/faults");
    provider->client()->wait_ready(seconds(20));
    EXPECT_TRUE((*provider->GetBooleanEvaluation("flag", false, user()))->GetValue()) << "it recovers by itself";
    EXPECT_TRUE(provider->Shutdown().ok());
}

TEST(ProviderLife, ShutdownTwiceAndInitAgain) {
    const Dev dev;
    dev.put("/__dev/definitions", definitions);
    const auto provider = made(Provider::Local("t", polling(dev)));
    EXPECT_TRUE(provider->Shutdown().ok()) << "before Init";
    for (int life = 1; life <= 2; life++) {
        ASSERT_TRUE(provider->Init(EvaluationContext::Builder().build()).ok());
        const auto context =
            EvaluationContext::Builder().WithAttribute("distinct_id", "life-" + std::to_string(life)).build();
        EXPECT_TRUE((*provider->GetBooleanEvaluation("flag", false, context))->GetValue());
        EXPECT_TRUE(provider->Shutdown().ok());
        EXPECT_TRUE(provider->Shutdown().ok());
        EXPECT_EQ(dev.events(life).at("counts").at("accepted"), life) << "shutdown delivers the exposure";
    }
    EXPECT_TRUE((*provider->GetBooleanEvaluation("flag", false, user()))->GetValue()) << "it keeps its definitions";
}

/* The server would accept the event, but only after shutdown_timeout_ms. */
TEST(ProviderLife, ShutdownObeysItsTimeout) {
    const Dev dev;
    const auto provider = made(Provider::Local("t", polling(dev).add("shutdown_timeout_ms", 50)));
    ASSERT_TRUE(provider->Init(EvaluationContext::Builder().build()).ok());
    dev.fault({{"path", "*"}, {"kind", "delay"}, {"delay_ms", 3000}});
    provider->client()->track("Bought", "u1");
    const absl::Status lost = provider->Shutdown();
    EXPECT_EQ(lost.code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(lost.message(), "1 events were not delivered");
    EXPECT_EQ(Json::parse(provider->client()->statistics()).at("dropped").at("shutdown"), 1);
}

// ---- Through the SDK's client.

TEST(ProviderSdk, ValuesAndDefaults) {
    auto& api = ::openfeature::OpenFeatureAPI::GetInstance();
    api.SetProviderAndWait("values", made(Provider::Local("t", fixed())));
    const auto client = api.GetClient("values");
    EXPECT_TRUE(client->GetBooleanValue("flag", false, user()));
    EXPECT_EQ(client->GetStringValue("flag", "none", user()), "none");
    EXPECT_EQ(client->GetIntegerValue("none", 7, user()), 7);
}

TEST(ProviderSdk, WrongTypesAreNotExposed) {
    const Dev dev;
    dev.put("/__dev/definitions", definitions);
    const auto provider = made(Provider::Local("t", polling(dev)));
    ASSERT_TRUE(provider->Init(EvaluationContext::Builder().build()).ok());
    const auto client = provider->client();
    ASSERT_TRUE(provider->GetStringEvaluation("flag", "mine", user()).ok());
    ASSERT_TRUE(provider->GetIntegerEvaluation("flag", 1, user()).ok());
    ASSERT_TRUE(provider->GetDoubleEvaluation("flag", 1.5, user()).ok());
    ASSERT_TRUE(provider->GetObjectEvaluation("flag", Value(), user()).ok());
    EXPECT_EQ(client->flush(seconds(20)), 0U);
    EXPECT_NE(client->statistics().find("\"enqueued\":0"), std::string::npos) << client->statistics();
    ASSERT_TRUE(provider->GetBooleanEvaluation("flag", false, user()).ok());
    EXPECT_EQ(client->flush(seconds(20)), 0U);
    EXPECT_NE(client->statistics().find("\"sent\":1"), std::string::npos) << client->statistics();
    EXPECT_TRUE(provider->Shutdown().ok());
}

TEST(ProviderSdk, RecoversAfterAFailedInit) {
    const Dev dev;
    dev.put("/__dev/definitions", definitions);
    dev.fault({{"path", "/flags/definitions"}, {"kind", "status"}, {"status", 500}});
    auto& api = ::openfeature::OpenFeatureAPI::GetInstance();
    const auto provider = made(Provider::Local("t", polling(dev).add("init_timeout_ms", 100).add("retry_base_ms", 10)));
    api.SetProviderAndWait("recovers", provider);
    EXPECT_EQ(api.GetProviderStatus("recovers"), ::openfeature::ProviderStatus::kError);
    EXPECT_FALSE(api.GetClient("recovers")->GetBooleanValue("flag", false, user()));
    dev.remove("/__dev/faults");
    provider->client()->wait_ready(seconds(20));
    EXPECT_TRUE(api.GetClient("recovers")->GetBooleanValue("flag", false, user()));
}

TEST(ProviderSdk, ManyThreads) {
    auto& api = ::openfeature::OpenFeatureAPI::GetInstance();
    api.SetProviderAndWait("threads", made(Provider::Local("t", fixed())));
    std::atomic<int> served{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&] {
            const auto client = api.GetClient("threads");
            for (int n = 0; n < 1000; n++) served += client->GetBooleanValue("flag", false, user()) ? 1 : 0;
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(served, 4000);
}

}  // namespace
