//go:build !mpflags_static

package mpflags

// #cgo pkg-config: mpflags
import "C"
