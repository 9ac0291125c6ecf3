//go:build cgo

package mpflags

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// This file writes the binary form of a context, which docs/binary.md specifies. Types that need reflection are in
// encoding.go.
//
// A value is its tag, the key if it is a member of an object, and its content. So the tag is reserved first, at an index that
// is passed on as at, and set by the function that appends the content.

const (
	formVersion = 1

	tagNull     = 0
	tagFalse    = 1
	tagTrue     = 2
	tagInt64    = 3
	tagUint64   = 4
	tagDouble   = 5
	tagString   = 6
	tagArray    = 7
	tagObject   = 8
	tagUnusable = 9

	// longLength stands before a length of lengthDigits digits, of seven bits each. Lengths below it are one byte.
	longLength   = 0x7F
	lengthDigits = 5
)

// maxDepth ends the encoding of a cyclic context. The library's own limit is lower.
const maxDepth = 512

// appendContext appends the binary form of a context.
func appendContext(to []byte, user Context) ([]byte, *unencodable) {
	return appendMembers(append(to, formVersion), user, 0)
}

func appendMembers(to []byte, object map[string]any, depth int) ([]byte, *unencodable) {
	if depth > maxDepth {
		return to, tooDeep()
	}
	begin := len(to)
	for key, value := range object {
		if folds(key) {
			// Rules ignore case, and of two keys that differ only in case the last one wins, so their order matters.
			return appendSorted(to[:begin], object, depth)
		}
		var err *unencodable
		if to, err = appendMember(to, key, value, depth); err != nil {
			return to, err
		}
	}
	return to, nil
}

type member struct {
	key   string
	value any
}

// appendSorted appends the members in order of code points, since a Go map has no order.
func appendSorted(to []byte, object map[string]any, depth int) ([]byte, *unencodable) {
	var few [16]member // most objects need no allocation
	for _, m := range sorted(few[:0], object) {
		if !utf8.ValidString(m.key) {
			return to, notUTF8().under(strconv.Quote(m.key))
		}
		var err *unencodable
		if to, err = appendMember(to, m.key, m.value, depth); err != nil {
			return to, err
		}
	}
	return to, nil
}

func sorted(members []member, object map[string]any) []member {
	for key, value := range object {
		members = append(members, member{key, value})
	}
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.key, b.key) })
	return members
}

// appendMember appends a member of an object at a depth. The key is UTF-8.
func appendMember(to []byte, key string, value any, depth int) ([]byte, *unencodable) {
	at := len(to)
	to, err := appendText(append(to, tagNull), key)
	if err == nil {
		to, err = appendContent(to, at, value, depth+1)
	}
	if err != nil {
		return to, err.under(key)
	}
	return to, nil
}

// folds reports whether lower-casing might change a key. It reports true for every key that is not ASCII.
func folds(key string) bool {
	for i := range len(key) {
		if c := key[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return true
		}
	}
	return false
}

func appendContent(to []byte, at int, value any, depth int) ([]byte, *unencodable) {
	switch v := value.(type) {
	case nil:
		return to, nil
	case string:
		return appendString(to, at, v)
	case bool:
		return appendBool(to, at, v), nil
	case int:
		return appendInt(to, at, int64(v)), nil
	case float64:
		return appendFloat(to, at, v, 64)
	case map[string]any:
		return appendObject(to, at, v, depth)
	case int64:
		return appendInt(to, at, v), nil
	case int32:
		return appendInt(to, at, int64(v)), nil
	case int16:
		return appendInt(to, at, int64(v)), nil
	case int8:
		return appendInt(to, at, int64(v)), nil
	case uint:
		return appendUint(to, at, uint64(v)), nil
	case uint64:
		return appendUint(to, at, v), nil
	case uint32:
		return appendUint(to, at, uint64(v)), nil
	case uint16:
		return appendUint(to, at, uint64(v)), nil
	case uint8:
		return appendUint(to, at, uint64(v)), nil
	case float32:
		return appendFloat(to, at, float64(v), 32)
	case []any:
		return appendArray(to, at, v, depth, appendContent)
	case []string:
		return appendArray(to, at, v, depth, func(to []byte, at int, text string, _ int) ([]byte, *unencodable) {
			return appendString(to, at, text)
		})
	case time.Time:
		return appendTime(to, at, v)
	case json.Number:
		return appendNumber(to, at, v)
	}
	return appendOther(to, at, value, depth)
}

func appendObject(to []byte, at int, object map[string]any, depth int) ([]byte, *unencodable) {
	if object == nil {
		return to, nil
	}
	to[at] = tagObject
	begin := len(to)
	to, err := appendMembers(append(to, 0), object, depth)
	if err != nil {
		return to, err
	}
	return closed(to, begin)
}

func appendArray[T any](to []byte, at int, array []T, depth int,
	each func(to []byte, at int, value T, depth int) ([]byte, *unencodable)) ([]byte, *unencodable) {
	switch {
	case array == nil:
		return to, nil
	case depth > maxDepth:
		return to, tooDeep()
	}
	to[at] = tagArray
	begin := len(to)
	to = append(to, 0)
	for i, value := range array {
		var err *unencodable
		if to, err = each(append(to, tagNull), len(to), value, depth+1); err != nil {
			return to, err.under("[" + strconv.Itoa(i) + "]")
		}
	}
	return closed(to, begin)
}

// closed ends the container whose length belongs at an index, where one byte is reserved for it.
func closed(to []byte, begin int) ([]byte, *unencodable) {
	length := len(to) - begin - 1
	if length < longLength {
		to[begin] = byte(length)
		return to, nil
	}
	var digits [1 + lengthDigits]byte
	long, err := appendLength(digits[:0], length)
	if err != nil {
		return to, err
	}
	return slices.Replace(to, begin, begin+1, long...), nil
}

func appendText(to []byte, text string) ([]byte, *unencodable) {
	if len(text) < longLength {
		return append(append(to, byte(len(text))), text...), nil
	}
	to, err := appendLength(to, len(text))
	return append(to, text...), err
}

func appendLength(to []byte, length int) ([]byte, *unencodable) {
	if length > math.MaxUint32 {
		return to, unencodablef("longer than 4 GiB")
	}
	if length < longLength {
		return append(to, byte(length)), nil
	}
	to = append(to, longLength)
	for range lengthDigits {
		to = append(to, byte(length&0x7F))
		length >>= 7
	}
	return to, nil
}

func appendBool(to []byte, at int, value bool) []byte {
	to[at] = tagFalse
	if value {
		to[at] = tagTrue
	}
	return to
}

func appendInt(to []byte, at int, number int64) []byte {
	to[at] = tagInt64
	return appendDigits(to, uint64(number))
}

func appendUint(to []byte, at int, number uint64) []byte {
	if number <= math.MaxInt64 {
		return appendInt(to, at, int64(number))
	}
	to[at] = tagUint64
	return appendDigits(to, number)
}

// appendFloat appends a whole number as the integer that encoding/json would write.
func appendFloat(to []byte, at int, number float64, bits int) ([]byte, *unencodable) {
	// Below this limit, the shortest digits of an integer are its own.
	exact := float64(1 << 53)
	if bits == 32 {
		exact = 1 << 24
	}
	size := math.Abs(number)
	if whole := int64(number); size < exact && float64(whole) == number && (whole != 0 || !math.Signbit(number)) {
		return appendInt(to, at, whole), nil
	}
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return to, unencodablef("%v is not a JSON number", number)
	}
	if bits == 64 && (size < exact || size >= 1e21) {
		to[at] = tagDouble
		return appendDigits(to, math.Float64bits(number)), nil
	}
	// The shortest digits are those of another integer, or of another double for a float32.
	var text [64]byte
	return appendDecimal(to, at, string(strconv.AppendFloat(text[:0], number, 'f', -1, bits)))
}

// appendNumber accepts what encoding/json accepts.
func appendNumber(to []byte, at int, number json.Number) ([]byte, *unencodable) {
	if number == "" {
		return appendInt(to, at, 0), nil
	}
	if first := number[0]; first != '-' && (first < '0' || first > '9') || !json.Valid([]byte(number)) {
		return to, unencodablef("a json.Number that is not a number")
	}
	return appendDecimal(to, at, string(number))
}

// appendDecimal appends a JSON number as the library reads it: what is not an integer of 64 bits is a double.
func appendDecimal(to []byte, at int, text string) ([]byte, *unencodable) {
	if whole := !strings.ContainsAny(text, ".eE") && text != "-0"; whole {
		if number, err := strconv.ParseInt(text, 10, 64); err == nil {
			return appendInt(to, at, number), nil
		}
		if number, err := strconv.ParseUint(text, 10, 64); err == nil {
			return appendUint(to, at, number), nil
		}
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return to, unencodablef("a number beyond a float64")
	}
	to[at] = tagDouble
	return appendDigits(to, math.Float64bits(number)), nil
}

// appendDigits appends a number of 64 bits, the lowest seven first.
func appendDigits(to []byte, n uint64) []byte {
	return append(to, byte(n)&0x7F, byte(n>>7)&0x7F, byte(n>>14)&0x7F, byte(n>>21)&0x7F, byte(n>>28)&0x7F,
		byte(n>>35)&0x7F, byte(n>>42)&0x7F, byte(n>>49)&0x7F, byte(n>>56)&0x7F, byte(n>>63))
}

func appendString(to []byte, at int, text string) ([]byte, *unencodable) {
	if !utf8.ValidString(text) {
		return to, notUTF8()
	}
	to[at] = tagString
	return appendText(to, text)
}

func appendTime(to []byte, at int, time time.Time) ([]byte, *unencodable) {
	begin := len(to)
	to, err := time.AppendText(append(to, 0))
	if err != nil {
		return to, unencodablef("a time that RFC 3339 cannot represent")
	}
	to[at] = tagString
	return closed(to, begin)
}
