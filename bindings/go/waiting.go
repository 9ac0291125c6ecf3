//go:build cgo

package mpflags

import (
	"context"
	"errors"
	"math"
	"time"
)

// bound returns how long a call may take: until ctx's deadline but no longer than limit, or for the time without if ctx has
// no deadline.
func bound(ctx context.Context, without, limit time.Duration) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		return min(limit, time.Until(deadline)), nil
	}
	return without, nil
}

// waited runs a call that blocks in the library and returns its error, or ctx's error as soon as ctx ends. The call then
// continues until its own time limit; abandoned reports that nobody waits any more. A timeout at ctx's deadline keeps the
// call's message, which says more than ctx's.
func waited(ctx context.Context, call func(abandoned func() bool) error) error {
	if ctx.Done() == nil {
		return call(func() bool { return false })
	}
	result := make(chan error, 1)
	go func() { result <- call(func() bool { return ctx.Err() != nil }) }()
	select {
	case err := <-result:
		return expired(ctx, err)
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		// The call has the same deadline.
		select {
		case err := <-result:
			return expired(ctx, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return ctx.Err()
}

func expired(ctx context.Context, err error) error {
	// The call may notice the deadline a moment before ctx does.
	if deadline, ok := ctx.Deadline(); ok && isTimeout(err) && !time.Now().Before(deadline) {
		return expiredError{err}
	}
	return err
}

// milliseconds rounds up, so that a wait does not end early.
func milliseconds(d time.Duration) uint32 {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return uint32(max(0, min(int64(ms), math.MaxUint32)))
}
