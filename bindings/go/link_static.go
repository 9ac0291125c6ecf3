//go:build mpflags_static

package mpflags

// The archive comes before pkg-config's flags, so that the linker does not need the shared library in the same directory.

// #cgo LDFLAGS: -Wl,--as-needed -l:libmpflags.a
// #cgo pkg-config: --static mpflags
import "C"
