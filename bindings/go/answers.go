//go:build cgo

package mpflags

import "sync/atomic"

// answers caches the outcome that each of the library's packed answers stands for. It is bounded: if an answer finds no
// free slot it evicts another, which is looked up again when needed. Reading takes no lock.
type answers struct {
	slots [slots]atomic.Pointer[outcome]
}

const (
	slots  = 1 << slotBits
	probes = 4
)

func home(answer uint64) uint64 {
	// Fibonacci hashing, since answers differ in few bits.
	return answer * 0x9E3779B97F4A7C15 >> (64 - slotBits)
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
