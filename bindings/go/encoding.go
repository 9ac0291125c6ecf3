//go:build cgo

package mpflags

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Values are written in one of two forms: contexts in the binary form, which docs/binary.md specifies, and everything else as
// JSON, such as the properties of events. This file has objects and arrays, scalars.go what is in them, and reflection.go the
// types that need reflection.
//
// In the binary form a value is its tag, the key if it is a member of an object, and its content. So the tag is reserved
// first, at an index that is passed on as at, and set by the function that appends the content. JSON has no tags: at is inJSON.
const inJSON = -1

// maxDepth ends the encoding of a cyclic value. The library's own limit is lower.
const maxDepth = 512

// appendContext appends the binary form of a context.
func appendContext(to []byte, user Context) ([]byte, *unencodable) {
	return appendMembers(append(to, formVersion), 0, user, 0)
}

// encoded returns the JSON of a value.
func encoded(value any) (string, *unencodable) {
	json, err := appendContent(nil, inJSON, value, 0)
	return string(json), err
}

func appendMembers(to []byte, at int, object map[string]any, depth int) ([]byte, *unencodable) {
	if depth > maxDepth {
		return to, tooDeep()
	}
	begin := len(to)
	for key, value := range object {
		if folds(key) {
			// Rules ignore case, and of two keys that differ only in case the last one wins, so their order matters.
			return appendSorted(to[:begin], at, object, depth)
		}
		var err *unencodable
		if to, err = appendMember(to, at, key, value, depth); err != nil {
			return to, err
		}
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

type member struct {
	key   string
	value any
}

// appendSorted appends the members in order of code points, since a Go map has no order.
func appendSorted(to []byte, at int, object map[string]any, depth int) ([]byte, *unencodable) {
	var few [16]member // most objects need no allocation
	for _, m := range sorted(few[:0], object) {
		if !utf8.ValidString(m.key) {
			return to, notUTF8().under(strconv.Quote(m.key))
		}
		var err *unencodable
		if to, err = appendMember(to, at, m.key, m.value, depth); err != nil {
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
func appendMember(to []byte, at int, key string, value any, depth int) ([]byte, *unencodable) {
	var err *unencodable
	if at == inJSON {
		to = append(appendQuoted(to, key), ':')
		to, err = appendContent(to, inJSON, value, depth+1)
		to = append(to, ',')
	} else if text, ok := value.(string); ok && len(key) < longLength && len(text) < longLength && utf8.ValidString(text) {
		// Most members are short strings. The calls below cost more than writing one.
		to = append(append(to, tagString, byte(len(key))), key...)
		to = append(append(to, byte(len(text))), text...)
	} else {
		at = len(to)
		if to, err = appendText(append(to, tagNull), key); err == nil {
			to, err = appendContent(to, at, value, depth+1)
		}
	}
	if err != nil {
		return to, err.under(key)
	}
	return to, nil
}

func appendContent(to []byte, at int, value any, depth int) ([]byte, *unencodable) {
	switch v := value.(type) {
	case nil:
		return appendNull(to, at), nil
	case string:
		return appendString(to, at, v)
	case bool:
		return appendBool(to, at, v), nil
	case int:
		return appendInt(to, at, int64(v)), nil
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
	case float64:
		return appendFloat(to, at, v, 64)
	case float32:
		return appendFloat(to, at, float64(v), 32)
	case map[string]any:
		return appendObject(to, at, v, depth)
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
		return appendNull(to, at), nil
	}
	begin := len(to)
	to, err := appendMembers(opened(to, at, tagObject, '{'), at, object, depth)
	if err != nil {
		return to, err
	}
	return closed(to, at, begin)
}

func appendArray[T any](to []byte, at int, array []T, depth int,
	each func(to []byte, at int, value T, depth int) ([]byte, *unencodable)) ([]byte, *unencodable) {
	switch {
	case array == nil:
		return appendNull(to, at), nil
	case depth > maxDepth:
		return to, tooDeep()
	}
	begin := len(to)
	to = opened(to, at, tagArray, '[')
	for i, value := range array {
		var err *unencodable
		if at == inJSON {
			to, err = each(to, inJSON, value, depth+1)
			to = append(to, ',')
		} else {
			to, err = each(append(to, tagNull), len(to), value, depth+1)
		}
		if err != nil {
			return to, err.under("[" + strconv.Itoa(i) + "]")
		}
	}
	return closed(to, at, begin)
}

// opened begins an object or array, and closed ends the one that begins at an index.
func opened(to []byte, at int, tag, bracket byte) []byte {
	if at == inJSON {
		return append(to, bracket)
	}
	to[at] = tag
	return append(to, 0) // for its length
}

func closed(to []byte, at, begin int) ([]byte, *unencodable) {
	if at != inJSON {
		return measured(to, begin)
	}
	end := byte('}')
	if to[begin] == '[' {
		end = ']'
	}
	if to[len(to)-1] == ',' {
		to = to[:len(to)-1]
	}
	return append(to, end), nil
}
