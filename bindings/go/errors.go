//go:build cgo

package mpflags

import (
	"context"
	"errors"
)

// The errors of the client's methods, for errors.Is. The text of an error has the details.
var (
	// ErrClosed: the client is shut down or closed.
	ErrClosed = errors.New("mpflags: closed")
	// ErrTimeout: the time limit has passed.
	ErrTimeout = errors.New("mpflags: timeout")
	// ErrInvalidConfig: an option is unknown, has the wrong type or is out of range.
	ErrInvalidConfig = errors.New("mpflags: invalid configuration")
	// ErrInvalidContext: the context cannot be represented in JSON, or the library cannot read it.
	ErrInvalidContext = errors.New("mpflags: invalid context")
	// ErrInvalidDefinitions: the whole definitions document is unreadable.
	ErrInvalidDefinitions = errors.New("mpflags: invalid definitions")
	// ErrInvalidArgument: an argument is invalid, or the call is not allowed in the client's current state.
	ErrInvalidArgument = errors.New("mpflags: invalid argument")
	// ErrCredentialsRefused: Mixpanel responded with 401 or 403.
	ErrCredentialsRefused = errors.New("mpflags: credentials refused")
	// ErrBackend: Mixpanel could not be reached, or its response was unusable.
	ErrBackend = errors.New("mpflags: no usable response from Mixpanel")
	// ErrQueueFull: the event queue is full; the event was dropped and counted.
	ErrQueueFull = errors.New("mpflags: queue full")
	// ErrUndelivered: events were lost when the client or provider was shut down.
	ErrUndelivered = errors.New("mpflags: events were not delivered")
	// ErrSystem: the operating system refused a thread, a file or memory.
	ErrSystem = errors.New("mpflags: operating system error")
	// ErrIncompatible: the linked library is not from the release that the program was compiled for.
	ErrIncompatible = errors.New("mpflags: incompatible library")
	// ErrGeneral: any other failure, including bugs in the library.
	ErrGeneral = errors.New("mpflags: failure")
)

// Error is the error of a call. Use errors.Is to compare it with the Err values. Its text contains no token or secret.
type Error struct {
	kind    error
	message string
}

func (e *Error) Error() string { return e.message }

// Unwrap returns one of the Err values.
func (e *Error) Unwrap() error { return e.kind }

// expiredError is the timeout of a call whose context has passed its deadline. It is context.DeadlineExceeded too.
type expiredError struct{ timeout error }

func (e expiredError) Error() string   { return e.timeout.Error() }
func (e expiredError) Unwrap() []error { return []error{e.timeout, context.DeadlineExceeded} }

func newError(kind error, message string) error { return &Error{kind, message} }

// ErrorCode is OpenFeature's code for a failed evaluation.
type ErrorCode string

// The codes of failed evaluations, for errors.Is:
//
//	if errors.Is(evaluation.Err(), mpflags.FlagNotFound) { … }
const (
	// ProviderNotReady: no definitions have arrived yet.
	ProviderNotReady ErrorCode = "PROVIDER_NOT_READY"
	// FlagNotFound: there is no flag with this key. For a remote client also: the user is not in the flag.
	FlagNotFound ErrorCode = "FLAG_NOT_FOUND"
	// ParseError: the flag's definition is malformed.
	ParseError ErrorCode = "PARSE_ERROR"
	// TypeMismatch: the value is not of the requested type.
	TypeMismatch ErrorCode = "TYPE_MISMATCH"
	// TargetingKeyMissing: the context lacks the key that the flag is bucketed by.
	TargetingKeyMissing ErrorCode = "TARGETING_KEY_MISSING"
	// InvalidContext: the flag reads an attribute that cannot be used. The message names it.
	InvalidContext ErrorCode = "INVALID_CONTEXT"
	// ProviderFatal: Mixpanel refused the credentials, and the client has no definitions. It keeps polling.
	ProviderFatal ErrorCode = "PROVIDER_FATAL"
	// General: any other failure.
	General ErrorCode = "GENERAL"
)

func (c ErrorCode) Error() string { return string(c) }

// EvaluationError is the error of an evaluation. Use errors.Is to compare it with an [ErrorCode].
type EvaluationError struct {
	Code ErrorCode
	// Flag is the key of the flag, or empty if all flags were evaluated.
	Flag string
	// Message is a description for people and logs.
	Message string
	cause   error
}

func (e *EvaluationError) Error() string {
	if e.Flag == "" {
		return string(e.Code) + ": " + e.Message
	}
	return e.Flag + ": " + string(e.Code) + ": " + e.Message
}

// Unwrap returns the code, and the cause if there is one: the error of a context.Context that ended, or an [*Error].
func (e *EvaluationError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.cause}
}
