//go:build cgo

package mpflags

import (
	"context"
	"errors"
	"math"
	"time"
)

// bound is how long a call with ctx may take: until its deadline, or otherwise, and never longer than most.
func bound(ctx context.Context, otherwise, most time.Duration) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		return min(most, time.Until(deadline)), nil
	}
	return otherwise, nil
}

// waited runs a call that sleeps in the library, and returns with its error, or with ctx's as soon as ctx ends. The call
// then goes on: it has a time limit of its own, and may ask given whether anybody still waits.
func waited(ctx context.Context, call func(given func() bool) error) error {
	if ctx.Done() == nil {
		return call(func() bool { return false })
	}
	result := make(chan error, 1)
	go func() { result <- call(func() bool { return ctx.Err() != nil }) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		// The call has the same deadline, and can tell more than that it has passed.
		select {
		case err := <-result:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return ctx.Err()
}

// milliseconds rounds up, so that a wait does not end before its time.
func milliseconds(d time.Duration) uint32 {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return uint32(max(0, min(int64(ms), math.MaxUint32)))
}
