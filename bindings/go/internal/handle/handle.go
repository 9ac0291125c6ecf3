// Package handle has what the types share that own something which is neither data nor a value: a client of the library,
// and what is built on one.
package handle

import "errors"

// NoCopy makes go vet report a copy of the struct that has it as a field.
type NoCopy struct{}

// Lock is what go vet looks for.
func (*NoCopy) Lock() {}

// Unlock is what go vet looks for.
func (*NoCopy) Unlock() {}

// NotData, embedded, makes the encoders of Go's library fail instead of writing an empty object, or filling one in.
type NotData struct{}

var errNotData = errors.New("an mpflags handle cannot be serialized or copied: share the pointer instead")

// MarshalJSON fails.
func (NotData) MarshalJSON() ([]byte, error) { return nil, errNotData }

// UnmarshalJSON fails.
func (*NotData) UnmarshalJSON([]byte) error { return errNotData }

// GobEncode fails.
func (NotData) GobEncode() ([]byte, error) { return nil, errNotData }

// GobDecode fails.
func (*NotData) GobDecode([]byte) error { return errNotData }
