#include <cassert>
#include <mpflags/client.hpp>

int main() {
    // Nothing is fetched, and the flag has this value for every user.
    const mpflags::Client client(
        {{"token", "test"}, {"enable_polling", false}, {"overrides", {{"new-checkout", true}}}});
    assert(client.get_boolean("new-checkout", mpflags::Context(), false));
    client.set_override("new-checkout", false);
    assert(!client.get_boolean("new-checkout", mpflags::Context(), true));
}
