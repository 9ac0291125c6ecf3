/* mpflags/error.hpp: the exception of functions that fail. */
#ifndef MPFLAGS_ERROR_HPP
#define MPFLAGS_ERROR_HPP

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "mpflags.h"
#include "mpflags/names.hpp"

namespace mpflags {

/** The message is for people and logs. It contains no token, secret or URL query. */
class Error : public std::runtime_error {
  public:
    Error(Status status, const std::string& message) : std::runtime_error(message), status_(status) {}
    Status status() const noexcept { return status_; }

  private:
    Status status_;
};

namespace detail {

struct Free {
    void operator()(mpflags_context* handle) const noexcept { mpflags_context_free(handle); }
    void operator()(mpflags_context_builder* handle) const noexcept { mpflags_context_builder_free(handle); }
    void operator()(mpflags_evaluation* handle) const noexcept { mpflags_evaluation_free(handle); }
    void operator()(mpflags_evaluations* handle) const noexcept { mpflags_evaluations_free(handle); }
    void operator()(mpflags_item* handle) const noexcept { mpflags_item_free(handle); }
    void operator()(mpflags_error* handle) const noexcept { mpflags_error_free(handle); }
    void operator()(mpflags_text* handle) const noexcept { mpflags_text_free(handle); }
};

template <class T>
using Handle = std::unique_ptr<T, Free>;

/* Throws the error of a call that failed, and frees it. */
inline void check(mpflags_status status, mpflags_error* error) {
    const Handle<mpflags_error> held(error);
    if (status != MPFLAGS_OK) {
        throw Error(static_cast<Status>(status), std::string(view(mpflags_error_message(error))));
    }
}

/* Calls a function of mpflags.h without its last parameter, the error, which is thrown. */
template <class Function, class... Arguments>
void call(Function* function, Arguments... arguments) {
    mpflags_error* error = nullptr;
    const mpflags_status status = function(arguments..., &error);
    check(status, error);
}

/* The same for a function that makes a handle, its last parameter but one. */
template <class Made, class Function, class... Arguments>
Made* make(Function* function, Arguments... arguments) {
    Made* made = nullptr;
    call(function, arguments..., &made);
    return made;
}

/* Throws if the library loaded at run time does not fit this header. */
inline void require_library() {
    static const bool fits = [] {
        const std::uint32_t version = mpflags_abi_version();
        const std::uint32_t revision = mpflags_abi_revision();
        if (version != MPFLAGS_ABI_VERSION || revision < MPFLAGS_ABI_REVISION) {
            throw Error(Status::General,
                        "this program was compiled for ABI version " + std::to_string(MPFLAGS_ABI_VERSION) +
                            ", revision " + std::to_string(MPFLAGS_ABI_REVISION) +
                            " of libmpflags; the library found is " + std::string(view(mpflags_version())) +
                            " with ABI version " + std::to_string(version) + ", revision " + std::to_string(revision) +
                            ": install the library that the header came with, or compile against its own header");
        }
        return true;
    }();
    static_cast<void>(fits);
}

}  // namespace detail

}  // namespace mpflags

#endif
