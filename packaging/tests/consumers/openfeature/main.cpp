#include <mpflags/openfeature/provider.h>

#include "openfeature/openfeature_api.h"

int main() {
    const auto provider = mpflags::openfeature::Provider::Local(
        "t", {{"enable_polling", false}, {"definitions", {{"flags", mpflags::Value::array({})}}}, {"overrides", {{"flag", true}}}});
    if (!provider.ok()) return 2;
    auto& api = openfeature::OpenFeatureAPI::GetInstance();
    api.SetProviderAndWait(*provider);
    return api.GetClient()->GetBooleanValue("flag", false) ? 0 : 1;
}
