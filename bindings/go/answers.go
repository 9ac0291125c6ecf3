//go:build cgo

package mpflags

import "sync/atomic"

// answers remembers what the library's answers stand for. It is bounded: an answer that finds no free slot takes one
// from another, which is then asked for again. Reading takes no lock.
type answers struct {
	slots [slots]atomic.Pointer[outcome]
}

const (
	slots  = 4096
	probes = 4
)

func home(answer uint64) uint64 {
	// Fibonacci hashing: answers are numbers that differ in few bits.
	return answer * 0x9E3779B97F4A7C15 >> 52
}

func (a *answers) get(answer uint64) *outcome {
	at := home(answer)
	for i := range uint64(probes) {
		if of := a.slots[(at+i)%slots].Load(); of != nil && of.answer == answer {
			return of
		}
	}
	return nil
}

func (a *answers) put(of *outcome) {
	at := home(of.answer)
	for i := range uint64(probes) {
		if a.slots[(at+i)%slots].CompareAndSwap(nil, of) {
			return
		}
	}
	a.slots[(at+of.answer>>1%probes)%slots].Store(of)
}
