// Mixpanel through OpenFeature: only one statement mentions Mixpanel.
//
//   provider YOUR_PROJECT_TOKEN [API_HOST]
#include <mpflags/openfeature/provider.h>

#include <iostream>

#include "openfeature/openfeature_api.h"

int main(int argc, char** argv) {
    if (argc < 2) {
        std::cerr << "usage: provider TOKEN [API_HOST]\n";
        return 2;
    }
    const auto provider =
        mpflags::openfeature::Provider::Local(argv[1], {{"api_host", argc > 2 ? argv[2] : "api.mixpanel.com"}});
    if (!provider.ok()) {
        std::cerr << provider.status().ToString() << '\n';
        return 1;
    }
    auto& api = openfeature::OpenFeatureAPI::GetInstance();
    // If Mixpanel cannot be reached, the SDK says so on standard error, and the flags arrive once it can be.
    api.SetProviderAndWait(*provider);

    // Most flags bucket users by distinct_id; rules see custom_properties.
    const auto user =
        openfeature::EvaluationContext::Builder()
            .WithAttribute("distinct_id", "user-1")
            .WithAttribute("custom_properties", std::map<std::string, std::any>{{"plan", std::string("premium")}})
            .build();
    const auto client = api.GetClient();
    std::cout << "new-checkout: " << (client->GetBooleanValue("new-checkout", false, user) ? "on" : "off") << '\n';
    std::cout << "button-color: " << client->GetStringValue("button-color", "#000000", user) << '\n';
    std::cout << "search-page-size: " << client->GetIntegerValue("search-page-size", 10, user) << '\n';

    // Delivers the queued exposures.
    api.Shutdown();
    return 0;
}
