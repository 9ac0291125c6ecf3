/* Runs the vectors of `evaluate` and `rules` through client.hpp: with a JSON context, with a Context made of that text,
 * and with one made of values. */
#include "vectors.hpp"

#include <gtest/gtest.h>

#include <mpflags/client.hpp>

namespace {

using vectors::Json;

mpflags::Client client_for(const std::string& definitions, const std::string& overrides) {
    return mpflags::Client::from_json("{\"token\": \"t\", \"enable_polling\": false, \"definitions\": " + definitions +
                                      ", \"overrides\": " + overrides + "}");
}

mpflags::Value value_of(const Json& json) {
    if (json.is_string()) return json.get<std::string>();
    if (json.is_boolean()) return json.get<bool>();
    if (json.is_number_unsigned()) return json.get<std::uint64_t>();
    if (json.is_number_integer()) return json.get<std::int64_t>();
    if (json.is_number_float()) return json.get<double>();
    if (json.is_array()) {
        std::vector<mpflags::Value> elements;
        for (const auto& element : json) elements.push_back(value_of(element));
        return elements;
    }
    if (!json.is_object()) return nullptr;
    mpflags::Object members;
    for (const auto& member : json.items()) members.add(member.key(), value_of(member.value()));
    return members;
}

/* The context made of values, without JSON. */
mpflags::Context made_of(const Json& json) {
    mpflags::Object members;
    for (const auto& member : json.items()) members.add(member.key(), value_of(member.value()));
    return mpflags::Context(members);
}

/* The results of all accessors of an evaluation. */
struct Result {
    std::string outcome, reason, json, variant, message, experiment_id, key, string, metadata;
    mpflags::Kind kind{};
    std::optional<bool> is_experiment_active;
    bool is_qa_tester = false, boolean = false;
    std::int64_t int64 = 0;
    double number = 0;

    bool operator==(const Result& o) const {
        return outcome == o.outcome && reason == o.reason && json == o.json && variant == o.variant &&
               message == o.message && experiment_id == o.experiment_id && key == o.key && string == o.string &&
               metadata == o.metadata && kind == o.kind && is_experiment_active == o.is_experiment_active &&
               is_qa_tester == o.is_qa_tester && boolean == o.boolean && int64 == o.int64 && number == o.number;
    }
};

std::string outcome_of(const mpflags::Evaluation& evaluation) {
    switch (evaluation.error_code()) {
        case mpflags::ErrorCode::None:
            if (evaluation.has_value()) return "variant";
            return evaluation.reason() == mpflags::Reason::Disabled ? "disabled" : "no_rollout_match";
        case mpflags::ErrorCode::FlagNotFound: return "flag_not_found";
        case mpflags::ErrorCode::ParseError: return "malformed";
        case mpflags::ErrorCode::TypeMismatch: return "type_mismatch";
        case mpflags::ErrorCode::TargetingKeyMissing: return "missing_context_key";
        case mpflags::ErrorCode::InvalidContext: return "invalid_context";
        default: return "unexpected";
    }
}

Result result_of(const mpflags::Evaluation& evaluation) {
    Result result;
    result.outcome = outcome_of(evaluation);
    result.reason = to_string(evaluation.reason());
    result.json = evaluation.json();
    result.variant = evaluation.variant();
    result.message = evaluation.message();
    result.experiment_id = evaluation.experiment_id();
    result.key = evaluation.key();
    result.string = evaluation.string();
    result.metadata = evaluation.metadata_json();
    result.kind = evaluation.kind();
    result.is_experiment_active = evaluation.is_experiment_active();
    result.is_qa_tester = evaluation.is_qa_tester();
    result.boolean = evaluation.boolean();
    result.int64 = evaluation.int64();
    result.number = evaluation.number();
    return result;
}

mpflags::Type type_of(const std::string& read) {
    if (read == "boolean") return mpflags::Type::Boolean;
    if (read == "string") return mpflags::Type::String;
    if (read == "integer") return mpflags::Type::Int64;
    if (read == "double") return mpflags::Type::Double;
    if (read == "object") return mpflags::Type::Object;
    if (!read.empty()) throw std::runtime_error("unknown read " + read);
    return mpflags::Type::Any;
}

bool typed(const Json& value, const Result& result) {
    using mpflags::Kind;
    if (value.is_string()) return result.string == value.get<std::string>() && result.kind == Kind::String;
    if (value.is_boolean()) return result.boolean == value.get<bool>() && result.kind == Kind::Boolean;
    if (value.is_number()) {
        return result.number == value.get<double>() && (result.kind == Kind::Int64 || result.kind == Kind::Double);
    }
    if (value.is_object()) return result.kind == Kind::Object;
    return result.kind == (value.is_array() ? Kind::Array : Kind::Null);
}

void check(const Json& want, const Result& result) {
    EXPECT_EQ(want.at("outcome"), result.outcome);
    EXPECT_EQ(want.at("reason"), result.reason);
    EXPECT_EQ(want.value("variant", ""), result.variant);
    // Without a match, there is a message if no rule had anything to read.
    if (result.outcome != "no_rollout_match") {
        EXPECT_EQ(result.reason == "ERROR", !result.message.empty());
    }
    if (want.contains("value")) {
        const Json got = Json::parse(result.json, nullptr, false);
        EXPECT_TRUE(vectors::same(want.at("value"), got)) << result.json;
        EXPECT_TRUE(typed(want.at("value"), result)) << result.json;
    }
    if (want.contains("is_qa_tester")) {
        EXPECT_EQ(want.at("is_qa_tester"), result.is_qa_tester);
    }
    if (want.contains("experiment_id")) {
        EXPECT_EQ(want.at("experiment_id").is_null() ? "" : want.at("experiment_id"), result.experiment_id);
    }
    if (want.contains("is_experiment_active")) {
        const Json active = result.is_experiment_active ? Json(*result.is_experiment_active) : Json();
        EXPECT_EQ(want.at("is_experiment_active"), active);
    }
    if (want.contains("message")) {
        EXPECT_EQ(want.at("message"), result.message);
    }
    if (want.contains("message_has")) {
        for (const std::string part : want.at("message_has")) {
            EXPECT_NE(result.message.find(part), std::string::npos) << result.message;
        }
    }
}

/* get_boolean and the like agree with the evaluation. */
void check_short_read(const mpflags::Client& client, const std::string& key, const mpflags::Context& context,
                      mpflags::Type type, const Result& result) {
    const bool has_value = result.outcome == "variant";
    switch (type) {
        case mpflags::Type::Boolean:
            EXPECT_EQ(client.get_boolean(key, context, false), has_value && result.boolean);
            EXPECT_EQ(client.get_boolean(key, context, true), !has_value || result.boolean);
            break;
        case mpflags::Type::Int64: EXPECT_EQ(client.get_int64(key, context, -7), has_value ? result.int64 : -7); break;
        case mpflags::Type::Double:
            EXPECT_EQ(client.get_double(key, context, -7.5), has_value ? result.number : -7.5);
            break;
        case mpflags::Type::String:
            EXPECT_EQ(client.get_string(key, context, "none"), has_value ? result.string : "none");
            break;
        case mpflags::Type::Object:
            EXPECT_EQ(client.get_json(key, context, "none"), has_value ? result.json : "none");
            break;
        case mpflags::Type::Any: break;
    }
}

TEST(Vectors, Evaluate) {
    const auto cases =
        vectors::suite("evaluate", {"name", "flags", "key", "context", "overrides", "read", "want", "why"});
    for (const Json& vector : cases) {
        SCOPED_TRACE(vector.at("name").get<std::string>());
        vectors::only(vector.at("want"),
                      {"outcome", "reason", "variant", "value", "is_qa_tester", "experiment_id", "is_experiment_active",
                       "message", "message_has"},
                      vector.at("name"));
        const auto client = client_for(vectors::document(vector.at("flags")),
                                       vector.contains("overrides") ? vectors::text(vector.at("overrides")) : "{}");
        const std::string key = vector.at("key");
        const std::string context = vectors::text(vector.at("context"));
        const mpflags::Type type = type_of(vector.value("read", ""));
        const Result once = result_of(client.evaluate_json(key, context, type));
        check(vector.at("want"), once);
        EXPECT_EQ(once.key, key);
        // A context that is given as text has what values cannot express.
        if (vector.at("context").is_object()) {
            EXPECT_TRUE(result_of(client.evaluate(key, made_of(vector.at("context")), type)) == once);
        }
        try {
            const auto kept = mpflags::Context::from_json(context);
            const Result result = result_of(client.evaluate(key, kept, type));
            EXPECT_TRUE(result == once) << result.json << " and " << once.json;
            check_short_read(client, key, kept, type, result);
        } catch (const mpflags::Error& error) {
            EXPECT_EQ(error.status(), mpflags::Status::InvalidContext);
            EXPECT_EQ(vector.at("want").at("outcome"), "invalid_context");
            EXPECT_EQ(once.message, error.what());
        }
    }
    if (!HasFailure()) vectors::report("evaluate", cases.size(), 0);
}

TEST(Vectors, Rules) {
    const auto cases = vectors::suite("rules", {"name", "rule", "rule_text", "data", "data_text", "want", "why"});
    for (const Json& vector : cases) {
        SCOPED_TRACE(vector.at("name").get<std::string>());
        const std::string rule =
            vector.contains("rule_text") ? vector.at("rule_text").get<std::string>() : vector.at("rule").dump();
        std::string properties;
        if (vector.contains("data_text")) {
            properties = ", \"custom_properties\": " + vector.at("data_text").get<std::string>();
        } else if (vector.contains("data")) {
            properties = ", \"custom_properties\": " + vector.at("data").dump();
        }
        const auto client = client_for(
            "{\"flags\": [{\"key\": \"f\", \"context\": \"id\", \"ruleset\": {\"variants\": [{\"key\": \"on\", "
            "\"value\": true}], \"rollout\": [{\"rollout_percentage\": 1, \"runtime_evaluation_rule\": " +
                rule + "}]}}]}",
            "{}");
        const std::string context = "{\"id\": 1" + properties + "}";
        const Result once = result_of(client.evaluate_json("f", context));
        const Result result = result_of(client.evaluate("f", mpflags::Context::from_json(context)));
        EXPECT_TRUE(result == once);
        if (vector.contains("data")) {
            const auto made = made_of({{"id", 1}, {"custom_properties", vector.at("data")}});
            EXPECT_TRUE(result_of(client.evaluate("f", made)) == once);
        }
        const Json got = result.outcome == "variant"            ? Json(true)
                         : result.outcome == "no_rollout_match" ? Json(false)
                                                                : Json(result.outcome);
        EXPECT_EQ(vector.at("want"), got);
    }
    if (!HasFailure()) vectors::report("rules", cases.size(), 0);
}

/* Every suite is run here, or skipped with a reason. */
TEST(Vectors, EverySuiteIsKnown) {
    for (const auto& entry : std::filesystem::directory_iterator(vectors::folder())) {
        const std::string name = entry.path().filename().string();
        if (!entry.is_directory() || name == "flags" || name == "evaluate" || name == "rules") continue;
        if (name == "bucket") {
            const auto all = vectors::suite(name, {"name", "subject", "salt", "want", "why"});
            vectors::report(name, 0, all.size(), "the C interface has no function that returns a bucket");
        } else if (name == "provider") {
            // Run by provider_test, if there is an SDK.
            if (std::getenv("MPFLAGS_WITH_SDK") != nullptr) continue;
            const auto all = vectors::suite(name, {"name", "config", "flags", "setup", "key", "type", "default",
                                                   "targeting_key", "attributes", "nan_attribute", "want", "why"});
            vectors::report(name, 0, all.size(),
                            "needs a build of OpenFeature's C++ SDK, which OPENFEATURE_CPP_INCLUDE names");
        } else {
            ADD_FAILURE() << name << " is neither run nor skipped";
        }
    }
}

}  // namespace
