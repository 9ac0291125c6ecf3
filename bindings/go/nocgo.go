//go:build !cgo

package mpflags

// Without cgo the package cannot be compiled. The type error below prints the reason; every other file needs cgo, so it
// is the only one.
const _ int = "mpflags needs cgo: set CGO_ENABLED=1 and install a C compiler, pkg-config and libmpflags (make install); to build for another platform, also set CC to a C compiler for it; see bindings/go/README.md"
