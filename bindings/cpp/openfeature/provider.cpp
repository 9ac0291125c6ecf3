#include "mpflags/openfeature/provider.h"

#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "from_json.hpp"
#include "to_context.hpp"

namespace mpflags::openfeature {

namespace {

using ::openfeature::EvaluationContext;
using ::openfeature::FlagMetadata;
using ::openfeature::Value;

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

// Calls `body` and turns exceptions into a status. Messages are passed as std::string, since absl::string_view need
// not be std::string_view.
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
        // Without a message, since allocating one might throw.
        return absl::Status(absl::StatusCode::kInternal, "");
    }
}

FlagMetadata metadata_of(const Evaluation& evaluation) {
    FlagMetadata metadata;
    const std::string_view json = evaluation.metadata_json();
    if (json.size() <= 2) return metadata;  // {}
    const Value object = detail::Reader(json).value();
    for (const auto& [key, value] : *object.AsStructure()) {
        if (value.IsBool()) metadata.data.emplace(key, *value.AsBool());
        if (value.IsString()) metadata.data.emplace(key, std::string(*value.AsString()));
    }
    return metadata;
}

template <class T, class Read>
absl::StatusOr<std::unique_ptr<::openfeature::ResolutionDetails<T>>> resolve(const Client& client,
                                                                             std::string_view flag, Type type,
                                                                             T default_value,
                                                                             const EvaluationContext& context,
                                                                             const Read& read) {
    using Details = ::openfeature::ResolutionDetails<T>;
    try {
        const Evaluation evaluation = client.evaluate(flag, detail::context_of(context), type);
        if (evaluation.has_value()) {
            return std::make_unique<Details>(read(evaluation), reason_of(evaluation.reason()),
                                             std::string(evaluation.variant()), metadata_of(evaluation));
        }
        std::optional<std::string> message;
        if (evaluation.message().data() != nullptr) message = std::string(evaluation.message());
        return std::make_unique<Details>(std::move(default_value), reason_of(evaluation.reason()), std::nullopt,
                                         FlagMetadata(), code_of(evaluation.error_code()), std::move(message));
    } catch (const Error& error) {
        const auto code = error.status() == Status::InvalidContext ? ErrorCode::InvalidContext : ErrorCode::General;
        return std::make_unique<Details>(std::move(default_value), ::openfeature::Reason::kError, std::nullopt,
                                         FlagMetadata(), code_of(code), std::string(error.what()));
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
                       [](const Evaluation& evaluation) { return detail::Reader(evaluation.json()).value(); });
    });
}

}  // namespace mpflags::openfeature
