// Package handle has the parts of types that own a native handle, such as clients and providers, and so can be neither
// copied nor serialized.
package handle

import "errors"

// NoCopy, as a field, makes go vet report copies of the struct.
type NoCopy struct{}

// Lock is what go vet looks for.
func (*NoCopy) Lock() {}

// Unlock is what go vet looks for.
func (*NoCopy) Unlock() {}

// NotData, embedded, makes encoding/json and encoding/gob fail instead of writing or filling in an empty object.
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
