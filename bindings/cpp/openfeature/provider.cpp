#include "mpflags/openfeature/provider.h"

#include <algorithm>
#include <any>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <exception>
#include <locale>
#include <map>
#include <new>
#include <optional>
#include <sstream>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mpflags::openfeature {

namespace {

using ::openfeature::EvaluationContext;
using ::openfeature::FlagMetadata;
using ::openfeature::Value;

// ---- Numbers of the library as the SDK's.

::openfeature::Reason reason_of(Reason reason) noexcept {
    switch (reason) {
        case Reason::Static: return ::openfeature::Reason::kStatic;
        case Reason::Default: return ::openfeature::Reason::kDefault;
        case Reason::TargetingMatch: return ::openfeature::Reason::kTargetingMatch;
        case Reason::Split: return ::openfeature::Reason::kSplit;
        case Reason::Disabled: return ::openfeature::Reason::kDisabled;
        case Reason::Error: return ::openfeature::Reason::kError;
        case Reason::Unknown: break;
    }
    return ::openfeature::Reason::kUnknown;
}

std::optional<::openfeature::ErrorCode> code_of(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::None: return std::nullopt;
        case ErrorCode::ProviderNotReady: return ::openfeature::ErrorCode::kProviderNotReady;
        case ErrorCode::FlagNotFound: return ::openfeature::ErrorCode::kFlagNotFound;
        case ErrorCode::ParseError: return ::openfeature::ErrorCode::kParseError;
        case ErrorCode::TypeMismatch: return ::openfeature::ErrorCode::kTypeMismatch;
        case ErrorCode::TargetingKeyMissing: return ::openfeature::ErrorCode::kTargetingKeyMissing;
        case ErrorCode::InvalidContext: return ::openfeature::ErrorCode::kInvalidContext;
        case ErrorCode::ProviderFatal: return ::openfeature::ErrorCode::kProviderFatal;
        case ErrorCode::General: break;
    }
    return ::openfeature::ErrorCode::kGeneral;
}

absl::StatusCode status_code_of(Status status) noexcept {
    switch (status) {
        case Status::CredentialsRefused: return absl::StatusCode::kUnauthenticated;
        case Status::Timeout: return absl::StatusCode::kDeadlineExceeded;
        case Status::Closed: return absl::StatusCode::kFailedPrecondition;
        case Status::NullArgument:
        case Status::InvalidUtf8:
        case Status::InvalidArgument:
        case Status::InvalidConfig:
        case Status::InvalidDefinitions: return absl::StatusCode::kInvalidArgument;
        case Status::System: return absl::StatusCode::kResourceExhausted;
        default: return absl::StatusCode::kUnknown;
    }
}

// Calls `body`; what it throws becomes a status. The texts are strings: abseil's string_view may not be std's.
template <class Body>
auto guarded(const Body& body) noexcept -> decltype(body()) {
    try {
        try {
            return body();
        } catch (const Error& error) {
            return absl::Status(status_code_of(error.status()), std::string(error.what()));
        } catch (const std::bad_alloc&) {
            return absl::Status(absl::StatusCode::kResourceExhausted, "");
        } catch (const std::exception& error) {
            return absl::Status(absl::StatusCode::kInternal, std::string(error.what()));
        }
    } catch (...) {
        // No text, so that making it allocates nothing.
        return absl::Status(absl::StatusCode::kInternal, "");
    }
}

// ---- Contexts as JSON.

// The library refuses what nests deeper. Going on would only need stack.
constexpr int kDeepest = 200;

struct Encoder {
    std::string out;
    // The first key whose value has no JSON form, and its type.
    std::string unknown_key;
    std::string unknown_type;
    std::string_view key;

    void value(const std::any& any, int depth);
    void value(const Value& value, int depth);

    void value(const std::string& text, int) { json::append(out, std::string_view(text)); }
    void value(std::string_view text, int) { json::append(out, text); }
    void value(const char* text, int) { json::append(out, text); }
    void value(char* text, int) { json::append(out, text); }
    // NaN and infinities have no JSON form: the flags that read them fail.
    void real(double number) {
        if (std::isfinite(number)) {
            json::append(out, number);
        } else {
            out += json::unusable;
        }
    }
    void value(std::nullptr_t, int) { json::append(out, nullptr); }
    void value(std::chrono::system_clock::time_point time, int) { json::append(out, time); }

    template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
    void value(T number, int) {
        if constexpr (std::is_same_v<T, bool>) {
            json::append(out, number);
        } else if constexpr (std::is_floating_point_v<T>) {
            real(static_cast<double>(number));
        } else if constexpr (std::is_signed_v<T>) {
            json::append(out, static_cast<std::int64_t>(number));
        } else {
            json::append(out, static_cast<std::uint64_t>(number));
        }
    }

    template <class T>
    void value(const std::vector<T>& elements, int depth) {
        out += '[';
        if (depth < kDeepest) {
            bool first = true;
            for (const auto& element : elements) {
                if (!std::exchange(first, false)) out += ',';
                if constexpr (std::is_same_v<T, bool>) {
                    value(static_cast<bool>(element), depth + 1);
                } else {
                    value(element, depth + 1);
                }
            }
        }
        out += ']';
    }

    template <class Map>
    void members(const Map& map, int depth) {
        out += '{';
        if (depth < kDeepest) {
            bool first = true;
            for (const auto& [name, element] : map) {
                if (!std::exchange(first, false)) out += ',';
                json::append(out, std::string_view(name));
                out += ':';
                value(element, depth + 1);
            }
        }
        out += '}';
    }
    template <class T>
    void value(const std::map<std::string, T>& map, int depth) {
        members(map, depth);
    }
    template <class T>
    void value(const std::unordered_map<std::string, T>& map, int depth) {
        members(map, depth);
    }

    template <class T>
    bool is(const std::any& any, int depth) {
        const T* held = std::any_cast<T>(&any);
        if (held == nullptr) return false;
        value(*held, depth);
        return true;
    }
    template <class... Ts>
    bool one_of(const std::any& any, int depth) {
        return (is<Ts>(any, depth) || ...);
    }
    // Each of them, and vectors and maps of it.
    template <class... Ts>
    bool containers_of(const std::any& any, int depth) {
        return (one_of<std::vector<Ts>, std::map<std::string, Ts>, std::unordered_map<std::string, Ts>>(any, depth) ||
                ...);
    }
};

void Encoder::value(const std::any& any, int depth) {
    // The usual ones first.
    if (one_of<std::string, bool, std::int64_t, int, double, const char*, std::string_view, char*, Value,
               std::chrono::system_clock::time_point>(any, depth)) {
        return;
    }
    if (one_of<long long, unsigned, unsigned long, unsigned long long, float, long double, short, unsigned short,
               signed char, unsigned char, std::nullptr_t>(any, depth)) {
        return;
    }
    if (containers_of<std::any, Value, std::string, bool, int, long, long long, unsigned, unsigned long,
                      unsigned long long, double, float, const char*, std::string_view>(any, depth)) {
        return;
    }
    if (any.has_value() && unknown_type.empty()) {
        unknown_key = std::string(key);
        unknown_type = any.type().name();
    }
    // Nothing held is null; the flags that read what has no JSON form fail.
    out += any.has_value() ? json::unusable : "null";
}

void Encoder::value(const Value& given, int depth) {
    if (const auto* list = given.AsList()) return value(*list, depth);
    if (const auto* map = given.AsStructure()) return value(*map, depth);
    if (given.IsBool()) return json::append(out, given.AsBool().value_or(false));
    if (given.IsString()) return json::append(out, std::string_view(given.AsString().value_or("")));
    if (const auto time = given.AsDateTime()) return json::append(out, *time);
    if (const auto number = given.AsDouble()) {
        // The SDK does not tell integers from doubles: AsInt rounds a double, and must not be asked for a large one. An
        // integer within 512 of 2^63 goes as a double.
        const double beyond = 9223372036854775808.0;
        const bool fits = *number >= -beyond && *number < beyond;
        const std::int64_t whole = fits ? given.AsInt().value_or(0) : 0;
        if (fits && static_cast<double>(whole) == *number) return json::append(out, whole);
        return real(*number);
    }
    json::append(out, nullptr);
}

Encoder encoded(const EvaluationContext& context) {
    Encoder encoder;
    encoder.out.reserve(256);
    encoder.out += '{';
    const auto targeting_key = context.GetTargetingKey();
    if (targeting_key) {
        encoder.out += "\"targetingKey\":";
        json::append(encoder.out, *targeting_key);
    }
    for (const auto& [key, held] : context.GetAttributes()) {
        if (targeting_key && key == "targetingKey") continue;
        if (encoder.out.size() > 1) encoder.out += ',';
        json::append(encoder.out, std::string_view(key));
        encoder.out += ':';
        encoder.key = key;
        encoder.value(held, 1);
    }
    encoder.out += '}';
    return encoder;
}

// The first attribute that is not UTF-8, which the library's own message cannot name.
std::string not_utf8(const EvaluationContext& context) {
    const auto targeting_key = context.GetTargetingKey();
    if (targeting_key && !json::is_utf8(*targeting_key)) return "targetingKey";
    for (const auto& [key, held] : context.GetAttributes()) {
        if (!json::is_utf8(key)) return "a key";
        Encoder encoder;
        encoder.value(held, 1);
        if (!json::is_utf8(encoder.out)) return key;
    }
    return {};
}

// ---- Values from the library's compact JSON, which is well formed.

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
        // Never nothing, so that the reader ends.
        skip(std::max<std::size_t>(end, 1));
        if (text.find_first_of(".eE") == std::string_view::npos) {
            std::int64_t whole = 0;
            const auto read = std::from_chars(text.data(), text.data() + text.size(), whole);
            if (read.ec == std::errc()) return Value(whole);
        }
        // A stream of the classic locale: strtod follows the program's, and not every library has from_chars for it.
        std::istringstream stream{std::string(text)};
        stream.imbue(std::locale::classic());
        double number = 0;
        stream >> number;
        return Value(number);
    }

    std::string_view rest_;
};

// ---- One evaluation.

FlagMetadata metadata_of(const Evaluation& evaluation) {
    FlagMetadata metadata;
    const std::string_view experiment = evaluation.experiment_id();
    if (experiment.data() != nullptr) metadata.data.emplace("experiment_id", std::string(experiment));
    if (const auto active = evaluation.is_experiment_active()) metadata.data.emplace("is_experiment_active", *active);
    if (evaluation.is_qa_tester()) metadata.data.emplace("is_qa_tester", true);
    return metadata;
}

template <class T>
absl::StatusOr<std::unique_ptr<::openfeature::ResolutionDetails<T>>> failed(T default_value, ErrorCode code,
                                                                            std::string message) {
    return std::make_unique<::openfeature::ResolutionDetails<T>>(std::move(default_value),
                                                                 ::openfeature::Reason::kError, std::nullopt,
                                                                 FlagMetadata(), code_of(code), std::move(message));
}

template <class T, class Read>
absl::StatusOr<std::unique_ptr<::openfeature::ResolutionDetails<T>>> resolve(const Client& client,
                                                                             std::string_view flag, Type type,
                                                                             T default_value,
                                                                             const EvaluationContext& context,
                                                                             const Read& read) {
    using Details = ::openfeature::ResolutionDetails<T>;
    const Encoder encoder = encoded(context);
    std::string broken;
    // The library names the key, and cannot tell what was there.
    const auto problem = [&](std::string_view message) {
        const auto names = [&](const std::string& key) {
            return !key.empty() && message.find(key) != std::string_view::npos;
        };
        if (!encoder.unknown_type.empty() && names(encoder.unknown_key)) {
            return "context: " + encoder.unknown_key + ": a C++ value of type " + encoder.unknown_type +
                   " has no form in JSON";
        }
        if (names(broken)) return "context: " + broken + ": not UTF-8";
        return std::string(message);
    };
    const auto evaluated =
        [&](std::string_view json) -> absl::StatusOr<std::unique_ptr<::openfeature::ResolutionDetails<T>>> {
        const Evaluation evaluation = client.evaluate_json(flag, json, type);
        if (evaluation.has_value()) {
            return std::make_unique<Details>(read(evaluation), reason_of(evaluation.reason()),
                                             std::string(evaluation.variant()), metadata_of(evaluation));
        }
        const ErrorCode code = evaluation.error_code();
        if (code == ErrorCode::InvalidContext) return failed(default_value, code, problem(evaluation.message()));
        std::optional<std::string> message;
        if (evaluation.message().data() != nullptr) message = std::string(evaluation.message());
        return std::make_unique<Details>(default_value, reason_of(evaluation.reason()), std::nullopt, FlagMetadata(),
                                         code_of(code), std::move(message));
    };
    try {
        try {
            return evaluated(encoder.out);
        } catch (const Error& error) {
            if (error.status() != Status::InvalidUtf8) throw;
            broken = not_utf8(context);
            if (broken.empty()) throw;
            return evaluated(json::marked(encoder.out));
        }
    } catch (const Error& error) {
        if (error.status() == Status::InvalidContext) {
            return failed(default_value, ErrorCode::InvalidContext, problem(error.what()));
        }
        return failed(default_value, ErrorCode::General, error.what());
    }
}

}  // namespace

absl::StatusOr<std::shared_ptr<Provider>> Provider::Make(std::string_view token, std::string_view mode,
                                                         const Object& options) {
    return guarded([&]() -> absl::StatusOr<std::shared_ptr<Provider>> {
        const Object config = Object(options).add("token", token).add("mode", mode);
        auto client = std::make_shared<Client>(config);
        return std::shared_ptr<Provider>(new Provider(std::move(client)));
    });
}

absl::StatusOr<std::shared_ptr<Provider>> Provider::Local(std::string_view token, const Object& options) {
    return Make(token, "local", options);
}

absl::StatusOr<std::shared_ptr<Provider>> Provider::Remote(std::string_view token, const Object& options) {
    return Make(token, "remote", options);
}

absl::StatusOr<std::shared_ptr<Provider>> Provider::Wrap(std::shared_ptr<Client> client) {
    return guarded([&]() -> absl::StatusOr<std::shared_ptr<Provider>> {
        if (!client) return absl::Status(absl::StatusCode::kInvalidArgument, "client is nullptr");
        return std::shared_ptr<Provider>(new Provider(std::move(client)));
    });
}

::openfeature::Metadata Provider::GetMetadata() const { return ::openfeature::Metadata{"mixpanel-provider"}; }

absl::Status Provider::Init(const EvaluationContext&) {
    return guarded([&]() -> absl::Status {
        client_->start();
        client_->wait_ready();
        return absl::OkStatus();
    });
}

absl::Status Provider::Shutdown() {
    return guarded([&]() -> absl::Status {
        const std::uint64_t lost = client_->shutdown();
        if (lost == 0) return absl::OkStatus();
        return absl::Status(absl::StatusCode::kDataLoss, std::to_string(lost) + " events were not delivered");
    });
}

absl::StatusOr<std::unique_ptr<::openfeature::BoolResolutionDetails>> Provider::GetBooleanEvaluation(
    std::string_view flag, bool default_value, const EvaluationContext& context) {
    return guarded([&] {
        return resolve(*client_, flag, Type::Boolean, default_value, context,
                       [](const Evaluation& evaluation) { return evaluation.boolean(); });
    });
}

absl::StatusOr<std::unique_ptr<::openfeature::StringResolutionDetails>> Provider::GetStringEvaluation(
    std::string_view flag, std::string_view default_value, const EvaluationContext& context) {
    return guarded([&] {
        return resolve(*client_, flag, Type::String, std::string(default_value), context,
                       [](const Evaluation& evaluation) { return std::string(evaluation.string()); });
    });
}

absl::StatusOr<std::unique_ptr<::openfeature::IntResolutionDetails>> Provider::GetIntegerEvaluation(
    std::string_view flag, std::int64_t default_value, const EvaluationContext& context) {
    return guarded([&] {
        return resolve(*client_, flag, Type::Int64, default_value, context,
                       [](const Evaluation& evaluation) { return evaluation.int64(); });
    });
}

absl::StatusOr<std::unique_ptr<::openfeature::DoubleResolutionDetails>> Provider::GetDoubleEvaluation(
    std::string_view flag, double default_value, const EvaluationContext& context) {
    return guarded([&] {
        return resolve(*client_, flag, Type::Double, default_value, context,
                       [](const Evaluation& evaluation) { return evaluation.number(); });
    });
}

absl::StatusOr<std::unique_ptr<::openfeature::ObjectResolutionDetails>> Provider::GetObjectEvaluation(
    std::string_view flag, Value default_value, const EvaluationContext& context) {
    return guarded([&] {
        return resolve(*client_, flag, Type::Object, std::move(default_value), context,
                       [](const Evaluation& evaluation) { return Reader(evaluation.json()).value(); });
    });
}

}  // namespace mpflags::openfeature
