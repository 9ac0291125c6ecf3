//go:build cgo

package mpflags

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// appendOther is the slow path of appendValue, for types that need reflection.
func appendOther(to []byte, value any, depth int) ([]byte, *unencodable) {
	v := reflect.ValueOf(value)
	switch value.(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return appendMarshaled(to, value)
	}
	switch v.Kind() {
	case reflect.Bool:
		return strconv.AppendBool(to, v.Bool()), nil
	case reflect.String:
		return appendString(to, v.String())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(to, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(to, v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		return appendFloat(to, v.Float(), v.Type().Bits())
	case reflect.Pointer:
		if v.IsNil() {
			return append(to, "null"...), nil
		}
		if depth > maxDepth {
			return to, unencodablef("nested more than %d levels deep, or contains itself", maxDepth)
		}
		if v.Elem().Kind() == reflect.Struct {
			return appendMarshaled(to, value)
		}
		return appendValue(to, v.Elem().Interface(), depth+1)
	case reflect.Map:
		return appendMap(to, v, depth)
	case reflect.Slice:
		if v.IsNil() {
			return append(to, "null"...), nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 { // base64
			return appendMarshaled(to, value)
		}
		return appendElements(to, v, depth)
	case reflect.Array:
		return appendElements(to, v, depth)
	case reflect.Struct:
		return appendMarshaled(to, value)
	}
	return to, unencodablef("a %s is not representable in JSON", v.Type())
}

func appendElements(to []byte, v reflect.Value, depth int) ([]byte, *unencodable) {
	if depth > maxDepth {
		return to, unencodablef("nested more than %d levels deep, or contains itself", maxDepth)
	}
	to = append(to, '[')
	for i := range v.Len() {
		var err *unencodable
		if to, err = appendValue(to, v.Index(i).Interface(), depth+1); err != nil {
			return to, err.under("[" + strconv.Itoa(i) + "]")
		}
		to = append(to, ',')
	}
	return closed(to, ']'), nil
}

// appendMap appends maps of types other than map[string]any. Keys are converted as by encoding/json.
func appendMap(to []byte, v reflect.Value, depth int) ([]byte, *unencodable) {
	if v.IsNil() {
		return append(to, "null"...), nil
	}
	object, err := anyMap(v)
	if err != nil {
		return to, err
	}
	return appendObject(to, object, depth)
}

func anyMap(v reflect.Value) (map[string]any, *unencodable) {
	object := make(map[string]any, v.Len())
	for entries := v.MapRange(); entries.Next(); {
		key, err := mapKey(entries.Key())
		if err != nil {
			return nil, err
		}
		object[key] = entries.Value().Interface()
	}
	return object, nil
}

func mapKey(key reflect.Value) (string, *unencodable) {
	if key.Kind() == reflect.String {
		return key.String(), nil
	}
	if marshaler, ok := key.Interface().(encoding.TextMarshaler); ok {
		text, err := marshaler.MarshalText()
		if err != nil {
			return "", unencodablef("a key: %v", err)
		}
		return string(text), nil
	}
	switch key.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(key.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.FormatUint(key.Uint(), 10), nil
	}
	return "", unencodablef("a map with keys of type %s is not representable in JSON", key.Type())
}

// appendMarshaled leaves structs and marshalers to encoding/json.
func appendMarshaled(to []byte, value any) (result []byte, err *unencodable) {
	// A panic in one of the program's marshalers makes only that value unusable.
	defer func() {
		if recover() != nil {
			result, err = to, unencodablef("%T panicked while being encoded", value)
		}
	}()
	marshaled, failure := json.Marshal(value)
	if failure != nil {
		return to, unencodablef("%v", failure)
	}
	if replaced(marshaled) {
		return to, unencodablef("a string in this %s is not UTF-8", reflect.TypeOf(value))
	}
	return append(to, marshaled...), nil
}

// replaced reports whether encoding/json replaced bytes that are not UTF-8 with U+FFFD. It writes such a replacement as an
// escape, and a U+FFFD of the string itself unescaped.
func replaced(marshaled []byte) bool {
	escape := []byte(`\ufffd`)
	for from := 0; ; {
		at := bytes.Index(marshaled[from:], escape)
		if at < 0 {
			return false
		}
		at += from
		backslashes := 0
		for at-backslashes-1 >= 0 && marshaled[at-backslashes-1] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return true
		}
		from = at + len(escape)
	}
}

// unusableValue is a number beyond float64, which the library treats as an unusable value: only flags that read it fail.
const unusableValue = "1e999"

// markDepth is how deep values are marked one by one: attributes, members of custom_properties, and their members. Below
// that, the whole member is marked.
const markDepth = 3

// appendMarked appends the JSON of a context that appendContext cannot encode, with unusableValue in place of each value
// that has no JSON. It returns those values, at least one.
func appendMarked(to []byte, user Context) ([]byte, []*unusable) {
	var found []*unusable
	to = markedObject(to, user, nil, &found)
	return to, found
}

// unusable is a value that has no JSON, or a key that is not UTF-8.
type unusable struct {
	*unencodable
	kind string // its Go type
}

func markedObject(to []byte, object map[string]any, path []string, found *[]*unusable) []byte {
	to = append(to, '{')
	for _, key := range slices.Sorted(maps.Keys(object)) {
		written, err := appendString(to, key)
		if err != nil {
			// No flag can read such a key.
			*found = append(*found, &unusable{err.under(strconv.Quote(key)).within(path), "string"})
			written, _ = appendString(to, strings.ToValidUTF8(key, "\uFFFD"))
		}
		to = written
		to = append(to, ':')
		to = append(markedValue(to, object[key], append(path, key), found), ',')
	}
	return closed(to, '}')
}

func markedValue(to []byte, value any, path []string, found *[]*unusable) []byte {
	written, err := appendValue(to, value, len(path))
	if err == nil {
		return written
	}
	if v := reflect.ValueOf(value); len(path) < markDepth && v.Kind() == reflect.Map {
		if object, err := anyMap(v); err == nil {
			return markedObject(to, object, path, found)
		}
	}
	*found = append(*found, &unusable{err.within(path), fmt.Sprintf("%T", value)})
	return append(to, unusableValue...)
}

// within prepends the path of the object that holds the value.
func (u *unencodable) within(path []string) *unencodable {
	for _, step := range slices.Backward(path) {
		u.path = append(u.path, step)
	}
	return u
}

// encoded returns the JSON of properties, an override or a people operation's value; what names it in the error.
func encoded(what string, value any) (string, error) {
	to, err := appendValue(nil, value, 0)
	if err != nil {
		return "", newError(ErrInvalidArgument, fmt.Sprintf("%s: %v", what, err))
	}
	return string(to), nil
}
