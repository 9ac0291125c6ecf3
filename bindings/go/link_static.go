//go:build mpflags_static

package mpflags

// The archive is named before what pkg-config says, so that a shared library in the same directory is not needed.

// #cgo LDFLAGS: -Wl,--as-needed -l:libmpflags.a
// #cgo pkg-config: --static mpflags
import "C"
