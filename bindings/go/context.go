//go:build cgo

package mpflags

import "sync"

// Context describes whom or what a flag is evaluated for. "distinct_id" identifies the user, rules see the map
// "custom_properties", and a flag may be bucketed by any other key.
//
// Values are converted as by encoding/json: booleans, numbers, strings, [json.Number], [time.Time] (as RFC 3339), slices,
// maps, structs with their tags, pointers and marshalers. A whole float becomes an integer, and an int64 stays exact.
//
// Some values cannot be used: NaN and the infinities, channels and functions, values whose marshaler fails, cyclic values,
// and strings that are not UTF-8, which encoding/json would silently change. A flag that reads such a value fails with
// [InvalidContext], and the message names the key; other flags are evaluated. The client logs each such key once.
type Context = map[string]any

// scratch holds the buffer of an evaluation, and the number of its stripe of inflight.
type scratch struct {
	buffer []byte
	number uint32
}

// A pool keeps about one scratch per core, so their numbers spread the calls over the stripes.
var scratches = sync.Pool{New: func() any {
	return &scratch{buffer: make([]byte, 0, 1024), number: scratchNumber.Add(1)}
}}

func (s *scratch) release() {
	// Do not keep the buffer of one large context for all the small ones after it.
	if cap(s.buffer) > 64<<10 {
		s.buffer = make([]byte, 0, 1024)
	}
	scratches.Put(s)
}

// encode appends the binary form of a context. Values that cannot be used are marked, logged and returned.
func (c *core) encode(to []byte, user Context) ([]byte, []*unusable) {
	begin := len(to)
	to, err := appendContext(to, user)
	if err == nil {
		return to, nil
	}
	to, found := appendMarked(to[:begin], user)
	for _, one := range found {
		c.logUnusable(one)
	}
	return to, found
}
