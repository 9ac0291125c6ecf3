//go:build cgo

package mpflags

import "sync/atomic"

// inflight counts the calls that use a native client, so that it is freed when the last of them ends, and not before.
// An evaluation counts itself in a stripe that it shares with few others: cores that evaluate do not wait for each
// other's cache line, as they would with one counter or a read lock.
type inflight struct {
	closing atomic.Bool
	ended   atomic.Bool
	counts  [stripes]stripe
	free    func()
	done    chan struct{}
}

const stripes = 16

type stripe struct {
	calls atomic.Int64
	_     [56]byte
}

func newInflight(free func()) *inflight {
	return &inflight{free: free, done: make(chan struct{})}
}

// enter says whether the client may be used, until exit with the same number.
func (f *inflight) enter(number uint32) bool {
	f.counts[number%stripes].calls.Add(1)
	// In this order: a call that does not see closing is one that close sees.
	if f.closing.Load() {
		f.exit(number)
		return false
	}
	return true
}

// stay counts one more call with number 0, from within another: until an exit of its own.
func (f *inflight) stay() { f.counts[0].calls.Add(1) }

func (f *inflight) exit(number uint32) {
	if f.counts[number%stripes].calls.Add(-1) == 0 && f.closing.Load() {
		f.end()
	}
}

// close lets no further call in. It gives true once. done is closed when the last call has ended and free has run.
func (f *inflight) close() bool {
	return f.closing.CompareAndSwap(false, true)
}

// end frees, if nobody is in. Whoever comes in now sees closing and leaves, and does not use the client.
func (f *inflight) end() {
	for i := range f.counts {
		if f.counts[i].calls.Load() != 0 {
			return
		}
	}
	if f.ended.CompareAndSwap(false, true) {
		f.free()
		close(f.done)
	}
}
