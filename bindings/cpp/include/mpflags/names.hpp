/* mpflags/names.hpp: the numbers of mpflags.h as enumerations, and their names. A newer library may return numbers that
 * are not listed here. */
#ifndef MPFLAGS_NAMES_HPP
#define MPFLAGS_NAMES_HPP

#include <cstdint>
#include <ostream>
#include <string_view>

#include "mpflags.h"

namespace mpflags {

enum class Status : std::int32_t {
    Ok = MPFLAGS_OK,
    NullArgument = MPFLAGS_NULL_ARGUMENT,
    InvalidUtf8 = MPFLAGS_INVALID_UTF8,
    InvalidArgument = MPFLAGS_INVALID_ARGUMENT,
    UnknownBit = MPFLAGS_UNKNOWN_BIT,
    InvalidConfig = MPFLAGS_INVALID_CONFIG,
    InvalidContext = MPFLAGS_INVALID_CONTEXT,
    InvalidDefinitions = MPFLAGS_INVALID_DEFINITIONS,
    CredentialsRefused = MPFLAGS_CREDENTIALS_REFUSED,
    Backend = MPFLAGS_BACKEND,
    QueueFull = MPFLAGS_QUEUE_FULL,
    Timeout = MPFLAGS_TIMEOUT,
    Closed = MPFLAGS_CLOSED,
    System = MPFLAGS_SYSTEM,
    Panic = MPFLAGS_PANIC,
    General = MPFLAGS_GENERAL,
};

enum class State : std::int32_t {
    None = MPFLAGS_STATE_NONE,
    NotReady = MPFLAGS_STATE_NOT_READY,
    Ready = MPFLAGS_STATE_READY,
    Stale = MPFLAGS_STATE_STALE,
    Error = MPFLAGS_STATE_ERROR,
};

/** The type that a value must have. */
enum class Type : std::uint32_t {
    Any = MPFLAGS_TYPE_ANY,
    Boolean = MPFLAGS_TYPE_BOOLEAN,
    String = MPFLAGS_TYPE_STRING,
    Int64 = MPFLAGS_TYPE_INT64,
    Double = MPFLAGS_TYPE_DOUBLE,
    Object = MPFLAGS_TYPE_OBJECT,
};

/** The type that a value has. */
enum class Kind : std::int32_t {
    None = MPFLAGS_KIND_NONE,
    Boolean = MPFLAGS_KIND_BOOLEAN,
    String = MPFLAGS_KIND_STRING,
    Int64 = MPFLAGS_KIND_INT64,
    Double = MPFLAGS_KIND_DOUBLE,
    Object = MPFLAGS_KIND_OBJECT,
    Array = MPFLAGS_KIND_ARRAY,
    Null = MPFLAGS_KIND_NULL,
};

enum class Reason : std::int32_t {
    Unknown = MPFLAGS_REASON_UNKNOWN,
    Static = MPFLAGS_REASON_STATIC,
    Default = MPFLAGS_REASON_DEFAULT,
    TargetingMatch = MPFLAGS_REASON_TARGETING_MATCH,
    Split = MPFLAGS_REASON_SPLIT,
    Disabled = MPFLAGS_REASON_DISABLED,
    Error = MPFLAGS_REASON_ERROR,
};

enum class ErrorCode : std::int32_t {
    None = MPFLAGS_ERROR_NONE,
    ProviderNotReady = MPFLAGS_ERROR_PROVIDER_NOT_READY,
    FlagNotFound = MPFLAGS_ERROR_FLAG_NOT_FOUND,
    ParseError = MPFLAGS_ERROR_PARSE_ERROR,
    TypeMismatch = MPFLAGS_ERROR_TYPE_MISMATCH,
    TargetingKeyMissing = MPFLAGS_ERROR_TARGETING_KEY_MISSING,
    InvalidContext = MPFLAGS_ERROR_INVALID_CONTEXT,
    ProviderFatal = MPFLAGS_ERROR_PROVIDER_FATAL,
    General = MPFLAGS_ERROR_GENERAL,
};

/** Programs should ignore kinds that they do not know. */
enum class ItemKind : std::int32_t {
    None = MPFLAGS_ITEM_NONE,
    Log = MPFLAGS_ITEM_LOG,
    State = MPFLAGS_ITEM_STATE,
    Change = MPFLAGS_ITEM_CHANGE,
    Event = MPFLAGS_ITEM_EVENT,
};

enum class Level : std::int32_t {
    None = MPFLAGS_LEVEL_NONE,
    Debug = MPFLAGS_LEVEL_DEBUG,
    Info = MPFLAGS_LEVEL_INFO,
    Warning = MPFLAGS_LEVEL_WARNING,
    Error = MPFLAGS_LEVEL_ERROR,
};

namespace detail {

inline std::string_view view(mpflags_str text) noexcept { return {text.ptr, text.len}; }

}  // namespace detail

/** The name of a constant of mpflags.h without its prefix, for example "TARGETING_MATCH", or "unknown" for a number that
 * the library does not know. Reasons and error codes have OpenFeature's names. */
inline std::string_view to_string(Status status) noexcept {
    return detail::view(mpflags_status_name(static_cast<std::int32_t>(status)));
}
inline std::string_view to_string(State state) noexcept {
    return detail::view(mpflags_state_name(static_cast<std::int32_t>(state)));
}
inline std::string_view to_string(Type type) noexcept {
    return detail::view(mpflags_type_name(static_cast<std::uint32_t>(type)));
}
inline std::string_view to_string(Kind kind) noexcept {
    return detail::view(mpflags_kind_name(static_cast<std::int32_t>(kind)));
}
inline std::string_view to_string(Reason reason) noexcept {
    return detail::view(mpflags_reason_name(static_cast<std::int32_t>(reason)));
}
inline std::string_view to_string(ErrorCode code) noexcept {
    return detail::view(mpflags_error_name(static_cast<std::int32_t>(code)));
}
inline std::string_view to_string(Level level) noexcept {
    return detail::view(mpflags_level_name(static_cast<std::int32_t>(level)));
}

/** Writes the name that `to_string` returns. */
inline std::ostream& operator<<(std::ostream& out, Status status) { return out << to_string(status); }
inline std::ostream& operator<<(std::ostream& out, State state) { return out << to_string(state); }
inline std::ostream& operator<<(std::ostream& out, Type type) { return out << to_string(type); }
inline std::ostream& operator<<(std::ostream& out, Kind kind) { return out << to_string(kind); }
inline std::ostream& operator<<(std::ostream& out, Reason reason) { return out << to_string(reason); }
inline std::ostream& operator<<(std::ostream& out, ErrorCode code) { return out << to_string(code); }
inline std::ostream& operator<<(std::ostream& out, Level level) { return out << to_string(level); }

}  // namespace mpflags

#endif
