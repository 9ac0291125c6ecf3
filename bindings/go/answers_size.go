//go:build cgo && !mpflags_soak

package mpflags

// 4,096 answers take about a megabyte.
const slotBits = 12
