//go:build cgo

package mpflags

import "sync/atomic"

// inflight counts the calls that use a native client, so that the last of them frees it. Each call counts itself in one of
// several stripes, so that cores do not contend for one cache line as they would with a single counter or a read lock.
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

// enter reports whether the client may be used, until a call of exit with the same number.
func (f *inflight) enter(number uint32) bool {
	f.counts[number%stripes].calls.Add(1)
	// Count first: a call that does not see closing is then seen by end.
	if f.closing.Load() {
		f.exit(number)
		return false
	}
	return true
}

// stay counts one more call with number 0, made from within another, until its own exit.
func (f *inflight) stay() { f.counts[0].calls.Add(1) }

func (f *inflight) exit(number uint32) {
	if f.counts[number%stripes].calls.Add(-1) == 0 && f.closing.Load() {
		f.end()
	}
}

// close lets no further call in and returns true the first time. done is closed once the last call has ended and free has
// run.
func (f *inflight) close() bool {
	return f.closing.CompareAndSwap(false, true)
}

// end frees the client if no call uses it. A call that enters from now on sees closing and does not use it.
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
