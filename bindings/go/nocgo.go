//go:build !cgo

package mpflags

// Without cgo the package cannot be compiled. All other files are excluded then, so the type error below is the only error
// that go build prints.
const _ int = "mpflags needs cgo: set CGO_ENABLED=1 and install a C compiler; to build for another platform, also set CC to a C compiler for it; see bindings/go/README.md"
