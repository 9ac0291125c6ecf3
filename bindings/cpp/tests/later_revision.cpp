/* A library that is newer than the header. Functions for bindings of the same revision must not be called. */
#include <iostream>
#include <mpflags/client.hpp>

extern "C" std::uint32_t mpflags_abi_revision(void) { return MPFLAGS_ABI_REVISION + 1; }

extern "C" mpflags_status mpflags_client_evaluate_encoded(const mpflags_client*, const char*, size_t, const char*,
                                                          size_t, int32_t, uint32_t, uint32_t, uint32_t,
                                                          mpflags_evaluation**, mpflags_error**) {
    std::cerr << "a function for bindings was called\n";
    return MPFLAGS_GENERAL;
}

int main() {
    const mpflags::Client client({{"token", "t"}, {"overrides", {{"flag", "value"}}}});
    const auto found = client.evaluate_json("flag", "{\"distinct_id\": \"u1\"}");
    try {
        client.evaluate_json("flag", "[");
        return 1;
    } catch (const mpflags::Error& error) {
        if (error.status() != mpflags::Status::InvalidContext) return 1;
    }
    return found.string() == "value" ? 0 : 1;
}
