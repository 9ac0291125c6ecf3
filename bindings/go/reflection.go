//go:build cgo

package mpflags

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"unicode"
	"unicode/utf16"
)

// appendOther is the slow path of appendContent.
func appendOther(to []byte, at int, value any, depth int) ([]byte, *unencodable) {
	switch value.(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return appendMarshaled(to, at, value, depth)
	}
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Bool:
		return appendBool(to, at, v.Bool()), nil
	case reflect.String:
		return appendString(to, at, v.String())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return appendInt(to, at, v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return appendUint(to, at, v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return appendFloat(to, at, v.Float(), v.Type().Bits())
	case reflect.Pointer:
		switch {
		case v.IsNil():
			return appendNull(to, at), nil
		case depth > maxDepth:
			return to, tooDeep()
		case v.Elem().Kind() == reflect.Struct:
			return appendMarshaled(to, at, value, depth)
		}
		return appendContent(to, at, v.Elem().Interface(), depth+1)
	case reflect.Map:
		if v.IsNil() {
			return appendNull(to, at), nil
		}
		object, err := anyMap(v)
		if err != nil {
			return to, err
		}
		return appendObject(to, at, object, depth)
	case reflect.Slice:
		if v.IsNil() {
			return appendNull(to, at), nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 { // base64
			return appendMarshaled(to, at, value, depth)
		}
		return appendElements(to, at, v, depth)
	case reflect.Array:
		return appendElements(to, at, v, depth)
	case reflect.Struct:
		return appendMarshaled(to, at, value, depth)
	}
	return to, unencodablef("a %s is not representable in JSON", v.Type())
}

func appendElements(to []byte, at int, v reflect.Value, depth int) ([]byte, *unencodable) {
	array := make([]any, v.Len())
	for i := range array {
		array[i] = v.Index(i).Interface()
	}
	return appendArray(to, at, array, depth, appendContent)
}

// anyMap converts maps of other types. Keys are converted as by encoding/json.
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
func appendMarshaled(to []byte, at int, value any, depth int) ([]byte, *unencodable) {
	text, err := marshaled(value)
	if err != nil {
		return to, err
	}
	if at == inJSON {
		return append(to, text...), nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return to, unencodablef("%v", err)
	}
	return appendContent(to, at, plain, depth)
}

func marshaled(value any) (text []byte, err *unencodable) {
	// A panic in one of the program's marshalers makes only that value unusable.
	defer func() {
		if recover() != nil {
			text, err = nil, unencodablef("%T panicked while being encoded", value)
		}
	}()
	text, failure := json.Marshal(value)
	if failure != nil {
		return nil, unencodablef("%v", failure)
	}
	if notText(text) {
		return nil, unencodablef("a string in this %s is not UTF-8", reflect.TypeOf(value))
	}
	return text, nil
}

// notText reports whether a string in JSON from encoding/json was not UTF-8, or has a lone surrogate, which a marshaler can
// write. encoding/json replaces bytes that are not UTF-8 with the escape of U+FFFD, and leaves a U+FFFD of the string itself
// unescaped.
func notText(text []byte) bool {
	for {
		at := bytes.IndexByte(text, '\\')
		if at < 0 {
			return false
		}
		text = text[at:]
		unit := escapedUnit(text)
		switch {
		case unit < 0:
			text = text[2:]
		case bytes.HasPrefix(text, []byte(`\ufffd`)):
			return true
		case !utf16.IsSurrogate(unit):
			text = text[6:]
		case utf16.DecodeRune(unit, escapedUnit(text[6:])) == unicode.ReplacementChar:
			return true
		default:
			text = text[12:]
		}
	}
}

// escapedUnit returns the UTF-16 code unit that valid JSON begins with the escape of, or -1.
func escapedUnit(text []byte) rune {
	if !bytes.HasPrefix(text, []byte(`\u`)) {
		return -1
	}
	unit, _ := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(unit)
}
