// mpflags/openfeature/provider.h: Mixpanel feature flags for OpenFeature's C++ SDK.
//
//   auto provider = mpflags::openfeature::Provider::Local("YOUR_PROJECT_TOKEN");
//   if (!provider.ok()) { ... }
//   openfeature::OpenFeatureAPI::GetInstance().SetProviderAndWait(*provider);
//
// Shipped as source: compile provider.cpp with your program's SDK and abseil. No function throws.
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

/// The provider's name is "mixpanel-provider". Any thread may call any function.
///
/// Contexts are passed on unchanged. The targeting key becomes the context key `targetingKey`, which does not bucket
/// users unless the option targeting_key_as is set. A std::any may be empty or hold a bool, any integer or
/// floating-point number, std::string, std::string_view, const char*, std::chrono::system_clock::time_point,
/// openfeature::Value, nullptr, and vectors and maps of these. Other types, NaN, infinities and strings that are not
/// UTF-8 cannot be used: flags that read them fail with INVALID_CONTEXT and a message that names the attribute, other
/// flags are evaluated.
class Provider final : public ::openfeature::FeatureProvider {
  public:
    Provider(const Provider&) = delete;
    Provider& operator=(const Provider&) = delete;
    ~Provider() override = default;

    /// Evaluates in process. docs/configuration.md lists the options; token and mode are set here. An invalid option
    /// is an InvalidArgument status that names it. Opens no connection before Init.
    static absl::StatusOr<std::shared_ptr<Provider>> Local(std::string_view token, const Object& options = {});
    /// Sends a request to Mixpanel for each evaluation, which blocks for request_timeout_ms at most.
    static absl::StatusOr<std::shared_ptr<Provider>> Remote(std::string_view token, const Object& options = {});
    /// Evaluates with a client of the program. Init starts it, and Shutdown shuts it down.
    static absl::StatusOr<std::shared_ptr<Provider>> Wrap(std::shared_ptr<Client> client);

    /// The provider's client, for tracking, overrides and items.
    const std::shared_ptr<Client>& client() const noexcept { return client_; }

    ::openfeature::Metadata GetMetadata() const override;

    /// Waits for the first definitions, until init_timeout_ms has passed or the credentials are refused. After a
    /// failure the client keeps polling and the SDK keeps evaluating, so the provider recovers by itself.
    absl::Status Init(const ::openfeature::EvaluationContext& context) override;
    /// Delivers queued events and stops the client's threads, within shutdown_timeout_ms; to set another time limit,
    /// call `client()->shutdown` first. May be called twice, and followed by Init. Lost events are kDataLoss, which
    /// the SDK logs.
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
    /// For an object, an array or null.
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
