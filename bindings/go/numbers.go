//go:build cgo

package mpflags

import "log/slog"

// The numbers of mpflags.h; a test compares them with the header. A newer library may return unknown numbers, which map to
// the last case of each function.

func errorKind(status int32) error {
	switch status {
	case 10, 11, 12, 13: // NULL_ARGUMENT, INVALID_UTF8, INVALID_ARGUMENT, UNKNOWN_BIT
		return ErrInvalidArgument
	case 20:
		return ErrInvalidConfig
	case 21:
		return ErrInvalidContext
	case 22:
		return ErrInvalidDefinitions
	case 30:
		return ErrCredentialsRefused
	case 31:
		return ErrBackend
	case 32:
		return ErrQueueFull
	case 40:
		return ErrTimeout
	case 41:
		return ErrClosed
	case 50:
		return ErrSystem
	}
	return ErrGeneral // PANIC, GENERAL
}

func errorCode(number int32) ErrorCode {
	switch number {
	case 1:
		return ProviderNotReady
	case 2:
		return FlagNotFound
	case 3:
		return ParseError
	case 4:
		return TypeMismatch
	case 5:
		return TargetingKeyMissing
	case 6:
		return InvalidContext
	case 7:
		return ProviderFatal
	}
	return General
}

func reason(number int32) Reason {
	switch number {
	case 1:
		return Static
	case 2:
		return Default
	case 3:
		return TargetingMatch
	case 4:
		return Split
	case 5:
		return Disabled
	case 6:
		return Failure
	}
	return Unknown
}

func state(number int32) State {
	switch number {
	case 1:
		return StateNotReady
	case 2:
		return StateReady
	case 3:
		return StateStale
	case 4:
		return StateError
	}
	return StateUnknown
}

func level(number int32) slog.Level {
	switch number {
	case 1:
		return slog.LevelDebug
	case 2:
		return slog.LevelInfo
	case 3:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// levelName is the name of a level in the option log_level.
func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warning"
	}
	return "error"
}

func active(number int32) *bool {
	switch number {
	case 1:
		return new(bool)
	case 2:
		yes := true
		return &yes
	}
	return nil
}

// kind is the JSON type of a value.
type kind int32

const (
	kindNone kind = iota
	kindBoolean
	kindString
	kindInteger
	kindDouble
	kindObject
	kindArray
	kindNull
)
