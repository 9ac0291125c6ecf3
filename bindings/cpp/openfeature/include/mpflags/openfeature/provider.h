// mpflags/openfeature/provider.h: Mixpanel feature flags behind OpenFeature's C++ SDK.
//
//   auto provider = mpflags::openfeature::Provider::Local("YOUR_PROJECT_TOKEN");
//   if (!provider.ok()) { ... }
//   openfeature::OpenFeatureAPI::GetInstance().SetProviderAndWait(*provider);
//
// Shipped as source: compile provider.cpp with the SDK and the abseil that the program has. No function throws.
#ifndef MPFLAGS_OPENFEATURE_PROVIDER_H
#define MPFLAGS_OPENFEATURE_PROVIDER_H

#include <cstdint>
#include <memory>
#include <mpflags/client.hpp>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "openfeature/evaluation_context.h"
#include "openfeature/metadata.h"
#include "openfeature/provider.h"
#include "openfeature/resolution_details.h"
#include "openfeature/value.h"

namespace mpflags::openfeature {

// Its name is "mixpanel-provider". Any thread may call any function.
//
// Contexts pass through untouched. The targeting key is the context key `targetingKey`, by which no flag is divided
// unless the option targeting_key_as names the key that takes it. A std::any may hold a bool, any integer or floating
// point number, std::string, std::string_view, const char*, std::chrono::system_clock::time_point,
// openfeature::Value, nullptr, nothing, and vectors and maps of these. Anything else, NaN, an infinity and a text that is
// not UTF-8 are INVALID_CONTEXT for the flags that read them, with a message that names the attribute; other flags are
// evaluated.
class Provider final : public ::openfeature::FeatureProvider {
  public:
    Provider(const Provider&) = delete;
    Provider& operator=(const Provider&) = delete;
    ~Provider() override = default;

    // Evaluates in process. The options are those of the README's table, but token and mode. An option that is wrong is
    // an InvalidArgument that names it. Opens no connection before Init.
    static absl::StatusOr<std::shared_ptr<Provider>> Local(std::string_view token, const Object& options = {});
    // Asks Mixpanel for each evaluation, which blocks until it answers, at most request_timeout_ms.
    static absl::StatusOr<std::shared_ptr<Provider>> Remote(std::string_view token, const Object& options = {});
    // Evaluates with a client of the program's, which Init starts and Shutdown shuts down.
    static absl::StatusOr<std::shared_ptr<Provider>> Wrap(std::shared_ptr<Client> client);

    // The client behind it, for tracking, overrides and the item stream.
    const std::shared_ptr<Client>& client() const noexcept { return client_; }

    ::openfeature::Metadata GetMetadata() const override;

    // Waits for the first definitions until init_timeout_ms has passed or the credentials are refused. Polling goes
    // on after a failure: the SDK goes on asking the provider, which answers as soon as it can.
    absl::Status Init(const ::openfeature::EvaluationContext& context) override;
    // Delivers queued exposures and ends the client's threads, within shutdown_timeout_ms; for another limit call
    // `client()->shutdown` before. Twice is fine, and so is Init after it. Lost events are kDataLoss, which the SDK logs.
    absl::Status Shutdown() override;

    absl::StatusOr<std::unique_ptr<::openfeature::BoolResolutionDetails>> GetBooleanEvaluation(
        std::string_view flag, bool default_value, const ::openfeature::EvaluationContext& context) override;
    absl::StatusOr<std::unique_ptr<::openfeature::StringResolutionDetails>> GetStringEvaluation(
        std::string_view flag, std::string_view default_value,
        const ::openfeature::EvaluationContext& context) override;
    absl::StatusOr<std::unique_ptr<::openfeature::IntResolutionDetails>> GetIntegerEvaluation(
        std::string_view flag, std::int64_t default_value, const ::openfeature::EvaluationContext& context) override;
    absl::StatusOr<std::unique_ptr<::openfeature::DoubleResolutionDetails>> GetDoubleEvaluation(
        std::string_view flag, double default_value, const ::openfeature::EvaluationContext& context) override;
    // From an object, an array or null.
    absl::StatusOr<std::unique_ptr<::openfeature::ObjectResolutionDetails>> GetObjectEvaluation(
        std::string_view flag, ::openfeature::Value default_value,
        const ::openfeature::EvaluationContext& context) override;

  private:
    explicit Provider(std::shared_ptr<Client> client) noexcept : client_(std::move(client)) {}

    static absl::StatusOr<std::shared_ptr<Provider>> Make(std::string_view token, std::string_view mode,
                                                          const Object& options);

    std::shared_ptr<Client> client_;
};

}  // namespace mpflags::openfeature

#endif
