/* A library that is older than the header. The linker prefers this program's function to the library's. */
#include <cstring>
#include <iostream>
#include <mpflags/client.hpp>

extern "C" std::uint32_t mpflags_abi_revision(void) { return MPFLAGS_ABI_REVISION - 1; }

int main() {
    for (int attempt = 0; attempt < 2; attempt++) {
        try {
            const mpflags::Client client({{"token", "t"}});
            std::cerr << "an older library was accepted\n";
            return 1;
        } catch (const mpflags::Error& error) {
            std::cout << error.what() << '\n';
            const std::string wanted = "revision " + std::to_string(MPFLAGS_ABI_REVISION);
            const std::string found = "revision " + std::to_string(MPFLAGS_ABI_REVISION - 1);
            if (std::strstr(error.what(), wanted.c_str()) == nullptr ||
                std::strstr(error.what(), found.c_str()) == nullptr ||
                std::strstr(error.what(), "install") == nullptr) {
                return 1;
            }
        }
    }
    return 0;
}
