//go:build cgo

package mpflags

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unencodable is the error for a value that cannot be encoded. The path to the value grows as the error is returned.
type unencodable struct {
	path []string
	why  string
}

func unencodablef(format string, args ...any) *unencodable {
	return &unencodable{why: fmt.Sprintf(format, args...)}
}

func notUTF8() *unencodable { return unencodablef("a string that is not UTF-8") }

func tooDeep() *unencodable {
	return unencodablef("nested more than %d levels deep, or contains itself", maxDepth)
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

// within prepends the path of the object that holds the value.
func (u *unencodable) within(path []string) *unencodable {
	for _, step := range slices.Backward(path) {
		u.path = append(u.path, step)
	}
	return u
}

// unusable is a value or a key of a context that cannot be used.
type unusable struct {
	*unencodable
	kind string // its Go type
}

// markDepth is how deep values are marked one by one: attributes, members of custom_properties, and their members. Below
// that, the whole member is marked.
const markDepth = 3

// appendMarked appends a context that appendContext cannot encode, with a mark in place of each value that cannot be used.
// It returns those values, at least one.
func appendMarked(to []byte, user Context) ([]byte, []*unusable) {
	var found []*unusable
	to = markedMembers(append(to, formVersion), user, nil, &found)
	return to, found
}

func markedMembers(to []byte, object map[string]any, path []string, found *[]*unusable) []byte {
	for _, m := range sorted(nil, object) {
		at := len(to)
		to = append(to, tagNull)
		if !utf8.ValidString(m.key) {
			to, _ = appendText(to, strings.ToValidUTF8(m.key, "\uFFFD"))
			to = marked(to, at, &unusable{notUTF8().under(strconv.Quote(m.key)).within(path), "string"}, found)
			continue
		}
		to, _ = appendText(to, m.key)
		to = markedContent(to, at, m.value, append(path, m.key), found)
	}
	return to
}

func markedContent(to []byte, at int, value any, path []string, found *[]*unusable) []byte {
	written, err := appendContent(to, at, value, len(path))
	if err == nil {
		return written
	}
	if v := reflect.ValueOf(value); len(path) < markDepth && v.Kind() == reflect.Map {
		if object, err := anyMap(v); err == nil {
			to[at] = tagObject
			begin := len(to)
			to, _ = measured(markedMembers(append(to, 0), object, path, found), begin)
			return to
		}
	}
	return marked(to, at, &unusable{err.within(path), fmt.Sprintf("%T", value)}, found)
}

// marked appends the content of the mark: why the value cannot be used.
func marked(to []byte, at int, one *unusable, found *[]*unusable) []byte {
	*found = append(*found, one)
	to[at] = tagUnusable
	to, _ = appendText(to, strings.ToValidUTF8(one.why, "\uFFFD"))
	return to
}

// maxLogged bounds the names of unusable attributes that are remembered because they were logged.
const maxLogged = 100

// logUnusable logs an attribute once. The value may be a secret, so it is left out.
func (c *core) logUnusable(one *unusable) {
	name := one.name()
	if _, logged := c.logged.Load(name); logged || c.loggedCount.Load() > maxLogged {
		return
	}
	if _, logged := c.logged.LoadOrStore(name, true); logged {
		return
	}
	switch n := c.loggedCount.Add(1); {
	case n <= maxLogged:
		c.currentLogger().Warn("a context attribute cannot be used; flags that read it return their default",
			"attribute", name, "type", one.kind, "library", "mpflags")
	case n == maxLogged+1:
		c.currentLogger().Warn("too many context attributes cannot be used; further ones are not logged", "library", "mpflags")
	}
}

// contextMessage describes the value that made an evaluation fail: the one that the library's message names, if any.
func contextMessage(found []*unusable, message string) string {
	for _, one := range found {
		if strings.Contains(message, one.name()) {
			return "the context: " + one.Error()
		}
	}
	for _, one := range found {
		if strings.Contains(message, one.path[len(one.path)-1]) {
			return "the context: " + one.Error()
		}
	}
	return "the context: " + found[0].Error()
}
