//go:build !race

package mpflags

const raceEnabled = false
