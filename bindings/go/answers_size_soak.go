//go:build cgo && mpflags_soak

package mpflags

// Few, so that the soak test has filled the cache soon, and memory does not grow with it later.
const slotBits = 6
