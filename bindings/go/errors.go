//go:build cgo

package mpflags

import "errors"

// What a call can fail with, for errors.Is. An error's own text says what is wrong in detail.
var (
	// ErrClosed: the client is shut down, or closed.
	ErrClosed = errors.New("mpflags: closed")
	// ErrTimeout: the time given has passed.
	ErrTimeout = errors.New("mpflags: timeout")
	// ErrInvalidConfig: an option that the library does not know, of a wrong type or out of range.
	ErrInvalidConfig = errors.New("mpflags: invalid configuration")
	// ErrInvalidContext: the context has something that JSON cannot carry, or that the library does not take.
	ErrInvalidContext = errors.New("mpflags: invalid context")
	// ErrInvalidDefinitions: definitions that are unreadable as a whole.
	ErrInvalidDefinitions = errors.New("mpflags: invalid definitions")
	// ErrInvalidArgument: an argument that the call does not take, or not in the state that the client is in.
	ErrInvalidArgument = errors.New("mpflags: invalid argument")
	// ErrCredentialsRefused: Mixpanel answered 401 or 403.
	ErrCredentialsRefused = errors.New("mpflags: credentials refused")
	// ErrBackend: Mixpanel could not be reached, or its answer was of no use.
	ErrBackend = errors.New("mpflags: no answer of Mixpanel")
	// ErrQueueFull: the event queue is full; the event was dropped and counted.
	ErrQueueFull = errors.New("mpflags: queue full")
	// ErrUndelivered: events were lost when the client was closed.
	ErrUndelivered = errors.New("mpflags: events were not delivered")
	// ErrSystem: the operating system refused a thread, a file or memory.
	ErrSystem = errors.New("mpflags: refused by the operating system")
	// ErrIncompatible: the library that is linked is not of the release that the program was compiled for.
	ErrIncompatible = errors.New("mpflags: incompatible library")
	// ErrGeneral: anything else, bugs of the library among it.
	ErrGeneral = errors.New("mpflags: failure")
)

// Error is why a call failed. errors.Is tells which of the Err values it is. No token or secret is in its text.
type Error struct {
	kind    error
	message string
}

func (e *Error) Error() string { return e.message }

// Unwrap gives the Err value that the error is one of.
func (e *Error) Unwrap() error { return e.kind }

func newError(kind error, message string) error { return &Error{kind, message} }

// ErrorCode is OpenFeature's name for what is wrong with an evaluation.
type ErrorCode string

// What can be wrong with an evaluation. errors.Is compares an evaluation's error with a code:
//
//	if errors.Is(variant.Err(), mpflags.FlagNotFound) { … }
const (
	// ProviderNotReady: no definitions have arrived yet.
	ProviderNotReady ErrorCode = "PROVIDER_NOT_READY"
	// FlagNotFound: no definition has this key; of a remote client also: the user is not in the flag.
	FlagNotFound ErrorCode = "FLAG_NOT_FOUND"
	// ParseError: the flag's definition does not fit the model.
	ParseError ErrorCode = "PARSE_ERROR"
	// TypeMismatch: the value has another type than the one asked for.
	TypeMismatch ErrorCode = "TYPE_MISMATCH"
	// TargetingKeyMissing: the context lacks the key that the flag is bucketed by.
	TargetingKeyMissing ErrorCode = "TARGETING_KEY_MISSING"
	// InvalidContext: the context cannot be read. The message names the key.
	InvalidContext ErrorCode = "INVALID_CONTEXT"
	// ProviderFatal: Mixpanel refused the credentials, and no definitions are held. The client goes on polling all the same.
	ProviderFatal ErrorCode = "PROVIDER_FATAL"
	// General: anything else.
	General ErrorCode = "GENERAL"
)

func (c ErrorCode) Error() string { return string(c) }

// EvaluationError is why an evaluation gave no value. errors.Is compares it with an [ErrorCode].
type EvaluationError struct {
	Code ErrorCode
	// Flag is the key that was asked for; empty when all flags were.
	Flag string
	// Message is for a person or a log.
	Message string
	cause   error
}

func (e *EvaluationError) Error() string {
	if e.Flag == "" {
		return string(e.Code) + ": " + e.Message
	}
	return e.Flag + ": " + string(e.Code) + ": " + e.Message
}

// Unwrap gives the code, and where a context.Context ended the call, or the client was closed, that too.
func (e *EvaluationError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.cause}
}
