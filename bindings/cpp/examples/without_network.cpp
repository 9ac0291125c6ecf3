#include <cassert>
#include <mpflags/client.hpp>

int main() {
    // No definitions are fetched; the flag has this value for everybody, and code under test asks as always.
    const mpflags::Client client(
        {{"token", "test"}, {"enable_polling", false}, {"overrides", {{"new-checkout", true}}}});
    assert(client.get_boolean("new-checkout", mpflags::Context(), false));
    client.set_override("new-checkout", false);
    assert(!client.get_boolean("new-checkout", mpflags::Context(), true));
}
