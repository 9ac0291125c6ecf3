//go:build cgo

package mpflags

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The numbers of docs/binary.md.
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

func appendNull(to []byte, at int) []byte {
	if at == inJSON {
		return append(to, "null"...)
	}
	return to // the tag is that of null until it is set
}

func appendBool(to []byte, at int, value bool) []byte {
	switch {
	case at == inJSON:
		return strconv.AppendBool(to, value)
	case value:
		to[at] = tagTrue
	default:
		to[at] = tagFalse
	}
	return to
}

func appendInt(to []byte, at int, number int64) []byte {
	if at == inJSON {
		return strconv.AppendInt(to, number, 10)
	}
	to[at] = tagInt64
	return appendDigits(to, uint64(number))
}

func appendUint(to []byte, at int, number uint64) []byte {
	if at == inJSON {
		return strconv.AppendUint(to, number, 10)
	}
	if number <= math.MaxInt64 {
		return appendInt(to, at, int64(number))
	}
	to[at] = tagUint64
	return appendDigits(to, number)
}

// appendFloat appends a whole number as the integer that encoding/json would write.
func appendFloat(to []byte, at int, number float64, bits int) ([]byte, *unencodable) {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return to, unencodablef("%v is not a JSON number", number)
	}
	if at == inJSON {
		return appendDecimal(to, number, bits), nil
	}
	// Below this limit, the shortest digits of an integer are its own.
	exact := float64(1 << 53)
	if bits == 32 {
		exact = 1 << 24
	}
	size := math.Abs(number)
	if whole := int64(number); size < exact && float64(whole) == number && (whole != 0 || !math.Signbit(number)) {
		return appendInt(to, at, whole), nil
	}
	if bits == 64 && (size < exact || size >= 1e21) {
		return appendDouble(to, at, number), nil
	}
	// The shortest digits are those of another integer, or of another double for a float32.
	var text [32]byte
	return appendParsed(to, at, string(appendDecimal(text[:0], number, bits)))
}

// appendDecimal formats a number as encoding/json does: whole numbers below 1e21 as digits alone.
func appendDecimal(to []byte, number float64, bits int) []byte {
	size := math.Abs(number)
	format := byte('f')
	if size != 0 && (bits == 64 && (size < 1e-6 || size >= 1e21) ||
		bits == 32 && (float32(size) < 1e-6 || float32(size) >= 1e21)) {
		format = 'e'
	}
	return strconv.AppendFloat(to, number, format, -1, bits)
}

// appendNumber accepts what encoding/json accepts.
func appendNumber(to []byte, at int, number json.Number) ([]byte, *unencodable) {
	if number == "" {
		return appendInt(to, at, 0), nil
	}
	// The text of a number has no white space around it, which json.Valid would accept.
	if strings.TrimRight(string(number), " \t\r\n") != string(number) ||
		number[0] != '-' && (number[0] < '0' || number[0] > '9') || !json.Valid([]byte(number)) {
		return to, unencodablef("a json.Number that is not a number")
	}
	if at == inJSON {
		return append(to, number...), nil
	}
	return appendParsed(to, at, string(number))
}

// appendParsed appends a JSON number as the library reads it: what is not an integer of 64 bits is a double.
func appendParsed(to []byte, at int, text string) ([]byte, *unencodable) {
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
	return appendDouble(to, at, number), nil
}

func appendDouble(to []byte, at int, number float64) []byte {
	to[at] = tagDouble
	return appendDigits(to, math.Float64bits(number))
}

// appendDigits appends a number of 64 bits, the lowest seven first.
func appendDigits(to []byte, n uint64) []byte {
	return append(to, byte(n)&0x7F, byte(n>>7)&0x7F, byte(n>>14)&0x7F, byte(n>>21)&0x7F, byte(n>>28)&0x7F,
		byte(n>>35)&0x7F, byte(n>>42)&0x7F, byte(n>>49)&0x7F, byte(n>>56)&0x7F, byte(n>>63))
}

func appendTime(to []byte, at int, value time.Time) ([]byte, *unencodable) {
	begin := len(to)
	text, err := value.AppendText(append(to, '"')) // or its length
	if err != nil {
		return to, unencodablef("a time that RFC 3339 cannot represent")
	}
	to = text
	if at == inJSON {
		return append(to, '"'), nil
	}
	to[at] = tagString
	return measured(to, begin)
}

func appendString(to []byte, at int, text string) ([]byte, *unencodable) {
	if !utf8.ValidString(text) {
		return to, notUTF8()
	}
	if at == inJSON {
		return appendQuoted(to, text), nil
	}
	to[at] = tagString
	return appendText(to, text)
}

// appendText appends a string as the binary form has keys and strings: its length and its bytes.
func appendText(to []byte, text string) ([]byte, *unencodable) {
	if len(text) < longLength {
		return append(append(to, byte(len(text))), text...), nil
	}
	to, err := appendLength(to, len(text))
	return append(to, text...), err
}

func appendLength(to []byte, length int) ([]byte, *unencodable) {
	if length < longLength {
		return append(to, byte(length)), nil
	}
	if length > math.MaxUint32 {
		return to, unencodablef("longer than 4 GiB")
	}
	to = append(to, longLength)
	for range lengthDigits {
		to = append(to, byte(length&0x7F))
		length >>= 7
	}
	return to, nil
}

// measured writes the length of what begins at an index with one byte for it.
func measured(to []byte, begin int) ([]byte, *unencodable) {
	var digits [1 + lengthDigits]byte
	length, err := appendLength(digits[:0], len(to)-begin-1)
	if err != nil {
		return to, err
	}
	if len(length) == 1 {
		to[begin] = length[0]
		return to, nil
	}
	return slices.Replace(to, begin, begin+1, length...), nil
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends a string that is UTF-8 in JSON.
func appendQuoted(to []byte, text string) []byte {
	to = append(to, '"')
	copied := 0
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		to = append(to, text[copied:i]...)
		copied = i + 1
		if c >= ' ' {
			to = append(to, '\\', c)
		} else {
			to = append(to, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(to, text[copied:]...), '"')
}
