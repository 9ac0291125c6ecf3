//go:build cgo

package mpflags

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Context describes whom or what a flag is evaluated for. "distinct_id" identifies the user, rules see the map
// "custom_properties", and a flag may be bucketed by any other key.
//
// Values are encoded as by encoding/json: booleans, numbers, strings, [json.Number], [time.Time] (as RFC 3339), slices,
// maps, structs with their tags, pointers and marshalers. A whole float becomes an integer, and an int64 stays exact.
//
// Some values cannot be used: NaN and the infinities, channels and functions, values whose marshaler fails, cyclic values,
// and strings that are not UTF-8, which encoding/json would silently change. A flag that reads such a value fails with
// [InvalidContext], and the message names the key; other flags are evaluated. The client logs each such key once.
type Context = map[string]any

// maxDepth ends the encoding of a cyclic context. The library's own limit is lower.
const maxDepth = 512

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

// unencodable is the error for a value without JSON. The path to the value grows as the error is returned.
type unencodable struct {
	path []string
	why  string
}

func (u *unencodable) Error() string {
	if len(u.path) == 0 {
		return u.why
	}
	return "`" + u.name() + "`: " + u.why
}

// name is the path to the value, as in custom_properties.tags[2].
func (u *unencodable) name() string {
	path := slices.Clone(u.path)
	slices.Reverse(path)
	var name strings.Builder
	for i, step := range path {
		if i > 0 && !strings.HasPrefix(step, "[") {
			name.WriteByte('.')
		}
		name.WriteString(step)
	}
	return name.String()
}

func (u *unencodable) under(step string) *unencodable {
	u.path = append(u.path, step)
	return u
}

func unencodablef(format string, args ...any) *unencodable {
	return &unencodable{why: fmt.Sprintf(format, args...)}
}

// appendContext appends the JSON of a context.
func appendContext(to []byte, user Context) ([]byte, *unencodable) {
	if len(user) == 0 {
		return append(to, '{', '}'), nil
	}
	return appendObject(to, user, 0)
}

func appendObject(to []byte, object map[string]any, depth int) ([]byte, *unencodable) {
	if depth > maxDepth {
		return to, unencodablef("nested more than %d levels deep, or contains itself", maxDepth)
	}
	begin := len(to)
	to = append(to, '{')
	for key, value := range object {
		folds := false
		if to, folds = appendKey(to, key); folds {
			// Rules ignore case, and of two keys that differ only in case the last one wins, so their order matters.
			return appendSorted(to[:begin], object, depth)
		}
		var err *unencodable
		if to, err = appendValue(to, value, depth+1); err != nil {
			return to, err.under(key)
		}
		to = append(to, ',')
	}
	return closed(to, '}'), nil
}

// appendSorted appends the keys in order of code points, since a Go map has no order.
func appendSorted(to []byte, object map[string]any, depth int) ([]byte, *unencodable) {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	to = append(to, '{')
	for _, key := range keys {
		var err *unencodable
		if to, err = appendString(to, key); err != nil {
			return to, err.under(strconv.Quote(key))
		}
		to = append(to, ':')
		if to, err = appendValue(to, object[key], depth+1); err != nil {
			return to, err.under(key)
		}
		to = append(to, ',')
	}
	return closed(to, '}'), nil
}

// closed replaces the last comma with the closing bracket, or appends it to the opening one.
func closed(to []byte, end byte) []byte {
	if to[len(to)-1] == ',' {
		to[len(to)-1] = end
		return to
	}
	return append(to, end)
}

// appendKey appends a key and its colon, unless lower-casing might change the key. It reports whether it might.
func appendKey(to []byte, key string) ([]byte, bool) {
	for i := range len(key) {
		if !folded[key[i]] {
			return to, true
		}
	}
	to = append(to, '"')
	to = append(to, key...)
	return append(to, '"', ':'), false
}

func appendValue(to []byte, value any, depth int) ([]byte, *unencodable) {
	switch v := value.(type) {
	case nil:
		return append(to, "null"...), nil
	case bool:
		return strconv.AppendBool(to, v), nil
	case string:
		return appendString(to, v)
	case int:
		return strconv.AppendInt(to, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(to, v, 10), nil
	case int32:
		return strconv.AppendInt(to, int64(v), 10), nil
	case int16:
		return strconv.AppendInt(to, int64(v), 10), nil
	case int8:
		return strconv.AppendInt(to, int64(v), 10), nil
	case uint:
		return strconv.AppendUint(to, uint64(v), 10), nil
	case uint64:
		return strconv.AppendUint(to, v, 10), nil
	case uint32:
		return strconv.AppendUint(to, uint64(v), 10), nil
	case uint16:
		return strconv.AppendUint(to, uint64(v), 10), nil
	case uint8:
		return strconv.AppendUint(to, uint64(v), 10), nil
	case float64:
		return appendFloat(to, v, 64)
	case float32:
		return appendFloat(to, float64(v), 32)
	case map[string]any:
		if v == nil {
			return append(to, "null"...), nil
		}
		return appendObject(to, v, depth)
	case []any:
		return appendArray(to, v, depth, appendValue)
	case []string:
		return appendArray(to, v, depth, func(to []byte, s string, _ int) ([]byte, *unencodable) {
			return appendString(to, s)
		})
	case time.Time:
		return appendTime(to, v)
	case json.Number:
		return appendNumber(to, v)
	}
	return appendOther(to, value, depth)
}

func appendArray[T any](to []byte, array []T, depth int,
	each func([]byte, T, int) ([]byte, *unencodable)) ([]byte, *unencodable) {
	if array == nil {
		return append(to, "null"...), nil
	}
	if depth > maxDepth {
		return to, unencodablef("nested more than %d levels deep, or contains itself", maxDepth)
	}
	to = append(to, '[')
	for i, value := range array {
		var err *unencodable
		if to, err = each(to, value, depth+1); err != nil {
			return to, err.under("[" + strconv.Itoa(i) + "]")
		}
		to = append(to, ',')
	}
	return closed(to, ']'), nil
}

// appendFloat formats a number as encoding/json does: whole numbers below 1e21 as digits alone.
func appendFloat(to []byte, number float64, bits int) ([]byte, *unencodable) {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return to, unencodablef("%v is not a JSON number", number)
	}
	size := math.Abs(number)
	format := byte('f')
	if size != 0 && (bits == 64 && (size < 1e-6 || size >= 1e21) ||
		bits == 32 && (float32(size) < 1e-6 || float32(size) >= 1e21)) {
		format = 'e'
	}
	return strconv.AppendFloat(to, number, format, -1, bits), nil
}

func appendTime(to []byte, at time.Time) ([]byte, *unencodable) {
	written, err := at.AppendText(append(to, '"'))
	if err != nil {
		return to, unencodablef("a time that RFC 3339 cannot represent")
	}
	return append(written, '"'), nil
}

func appendNumber(to []byte, number json.Number) ([]byte, *unencodable) {
	if number == "" {
		return append(to, '0'), nil
	}
	if first := number[0]; first != '-' && (first < '0' || first > '9') || !json.Valid([]byte(number)) {
		return to, unencodablef("a json.Number that is not a number")
	}
	return append(to, number...), nil
}

const hex = "0123456789abcdef"

// plain are the bytes that JSON strings hold unescaped; folded are those of them that lower-casing keeps.
var plain, folded = func() (plain, folded [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
		folded[c] = plain[c] && (c < 'A' || 'Z' < c)
	}
	return plain, folded
}()

func appendString(to []byte, s string) ([]byte, *unencodable) {
	for i := range len(s) {
		if !plain[s[i]] {
			return appendEscaped(to, s)
		}
	}
	to = append(to, '"')
	to = append(to, s...)
	return append(to, '"'), nil
}

func appendEscaped(to []byte, s string) ([]byte, *unencodable) {
	if !utf8.ValidString(s) {
		return to, unencodablef("a string that is not UTF-8")
	}
	to = append(to, '"')
	copied := 0
	for i := range len(s) {
		c := s[i]
		if plain[c] || c >= utf8.RuneSelf {
			continue
		}
		to = append(to, s[copied:i]...)
		copied = i + 1
		if c >= ' ' {
			to = append(to, '\\', c)
		} else {
			to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	to = append(to, s[copied:]...)
	return append(to, '"'), nil
}
