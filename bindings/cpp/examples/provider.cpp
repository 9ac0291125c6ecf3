// Mixpanel behind OpenFeature: the program knows OpenFeature, and one line knows Mixpanel.
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
    // Says on standard error when Mixpanel cannot be reached. The flags then come as soon as it can.
    api.SetProviderAndWait(*provider);

    // Mixpanel divides users by an attribute, distinct_id in most flags; its rules see custom_properties.
    const auto user =
        openfeature::EvaluationContext::Builder()
            .WithAttribute("distinct_id", "user-1")
            .WithAttribute("custom_properties", std::map<std::string, std::any>{{"plan", std::string("premium")}})
            .build();
    const auto client = api.GetClient();
    std::cout << "new-checkout: " << (client->GetBooleanValue("new-checkout", false, user) ? "on" : "off") << '\n';
    std::cout << "button-color: " << client->GetStringValue("button-color", "#000000", user) << '\n';
    std::cout << "search-page-size: " << client->GetIntegerValue("search-page-size", 10, user) << '\n';

    // Delivers the exposures.
    api.Shutdown();
    return 0;
}
