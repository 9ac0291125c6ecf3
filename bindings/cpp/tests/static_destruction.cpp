/* The SDK's singleton shuts its providers down after main. Exposures must be delivered, and nothing may hang. */
#include <mpflags/openfeature/provider.h>

#include <iostream>

#include "openfeature/openfeature_api.h"

namespace {

/* Constructed before the singleton, so destroyed after it. */
struct AfterTheSingleton {
    ~AfterTheSingleton() {
        if (provider == nullptr) return;
        const auto user = openfeature::EvaluationContext::Builder().WithAttribute("distinct_id", "late").build();
        const auto details = provider->GetBooleanEvaluation("new-checkout", false, user);
        std::cout << "after the singleton: " << (details.ok() ? "evaluated" : "failed") << std::endl;
    }
    std::shared_ptr<mpflags::openfeature::Provider> provider;
};
AfterTheSingleton after;

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const auto provider = mpflags::openfeature::Provider::Local("demo-token", {{"api_host", argv[1]}});
    if (!provider.ok()) return 1;
    after.provider = *provider;
    auto& api = openfeature::OpenFeatureAPI::GetInstance();
    api.SetProviderAndWait(*provider);
    const auto user = openfeature::EvaluationContext::Builder().WithAttribute("distinct_id", "qa-1").build();
    std::cout << "new-checkout: " << api.GetClient()->GetBooleanValue("new-checkout", false, user) << std::endl;
    std::cout << "end of main" << std::endl;
    return 0;
}
