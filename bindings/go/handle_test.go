//go:build cgo

package mpflags

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

// byValue copies a client like an assignment, which go vet would report.
func byValue(c *Client) *Client {
	other := reflect.New(reflect.TypeFor[Client]())
	other.Elem().Set(reflect.ValueOf(c).Elem())
	return other.Interface().(*Client)
}

// A copy is the same client: closing one, once or twice, closes both.
func TestCopiedClient(t *testing.T) {
	user := Context{"distinct_id": "u1"}
	for range 20 {
		c := client(t, WithReportExposures(false), WithDefinitions(flagOf("true")))
		other := byValue(c)
		if !c.Boolean(background, "f", false, user) || !other.Boolean(background, "f", false, user) {
			t.Fatal("no value")
		}
		var group sync.WaitGroup
		for _, one := range []*Client{c, other, c, other} {
			group.Go(func() {
				if err := one.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, one := range []*Client{c, other} {
			if v := one.Evaluate(background, "f", user); !errors.Is(v.Err(), ErrClosed) {
				t.Error(v.Err())
			}
			if err := one.Start(background); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}
	}
}

// A client is closed when the last of its copies is collected, and not before.
func TestCopiedClientOutlivesTheOriginal(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf("true")))
	// Not by against, whose cleanup would hold the original.
	made, err := New("demo", WithReportExposures(false), WithEnablePolling(false), WithDefinitions(flagOf("true")))
	if err != nil {
		t.Fatal(err)
	}
	collected := make(chan struct{})
	runtime.AddCleanup(made, func(done chan struct{}) { close(done) }, collected)
	other := byValue(made)
	made = nil
	eventually(t, "the collection of the original", func() bool {
		runtime.GC()
		select {
		case <-collected:
			return true
		default:
			return false
		}
	})
	// A close caused by the collection of the original would happen within this time.
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if v := other.Evaluate(background, "f", Context{"distinct_id": "u1"}); v.Err() != nil {
			t.Fatal(v.Err())
		}
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	_ = c
}

// A zero or nil client returns defaults, and errors that explain why.
func TestClientThatWasNotMade(t *testing.T) {
	var zero Client
	for name, c := range map[string]*Client{"zero": &zero, "nil": nil} {
		t.Run(name, func(t *testing.T) {
			user := Context{"distinct_id": "u1"}
			if !c.Boolean(background, "f", true, user) || c.String(background, "f", "d", user) != "d" || c.Int(background, "f", 7, user) != 7 ||
				c.Float(background, "f", 7.5, user) != 7.5 || c.Object(background, "f", "d", user) != "d" {
				t.Error("not the default")
			}
			_, all := c.EvaluateAll(background, user)
			_, flush := c.Flush(background)
			_, shutdown := c.Shutdown(background)
			_, statistics := c.Statistics()
			_, explain := c.Explain("f", user)
			for what, err := range map[string]error{
				"Evaluate": c.Evaluate(background, "f", user).Err(), "WithoutExposure": c.Evaluate(background, "f", user, WithoutExposure).Err(),
				"EvaluateAll": all, "Flush": flush, "Shutdown": shutdown, "Statistics": statistics, "Explain": explain, "Start": c.Start(background), "Refresh": c.Refresh(background),
				"WaitReady": c.WaitReady(background), "Close": c.Close(), "Track": c.Track("e", "u", nil), "PeopleUpdate": c.PeopleUpdate("$set", "u", map[string]any{}), "GroupUpdate": c.GroupUpdate("$set", "company", "a", map[string]any{}),
				"SetOverride": c.SetOverride("f", true), "ClearOverride": c.ClearOverride("f"), "TrackExposure": c.TrackExposure(Evaluation{source: &exposable{}}),
			} {
				if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(fmt.Sprint(err), "not made by mpflags.New") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if c.State() != StateUnknown || c.Remote() || c.TargetingKeyAs() != "" || c.Logger() == nil {
				t.Error(c.State(), c.Remote(), c.TargetingKeyAs(), c.Logger())
			}
			c.OnItem(func(Item) { t.Error("a client that was not made reports an item") })()
			if text := fmt.Sprintf("%v %+v %#v", c, c, c); text != "mpflags.Client(UNKNOWN) mpflags.Client(UNKNOWN) mpflags.Client(UNKNOWN)" {
				t.Error(text)
			}
		})
	}
}

// Serializing a client is an error and does not change it.
func TestClientIsNotData(t *testing.T) {
	c := client(t, WithReportExposures(false), WithDefinitions(flagOf("true")))
	type service struct{ Flags *Client }
	var written bytes.Buffer
	_, one := json.Marshal(c)
	_, value := json.Marshal(reflect.ValueOf(c).Elem().Interface())
	_, within := json.Marshal(service{c})
	for what, err := range map[string]error{
		"json of a pointer": one, "json of a value": value, "json of a struct": within, "json into": json.Unmarshal([]byte(`{}`), c),
		"gob": gob.NewEncoder(&written).Encode(c), "gob of a struct": gob.NewEncoder(&written).Encode(service{c}),
	} {
		if err == nil || !strings.Contains(err.Error(), "an mpflags handle cannot be serialized or copied") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !c.Boolean(background, "f", false, Context{"distinct_id": "u1"}) {
		t.Error("the client does not work any more")
	}
}

// go vet reports copies of every type that owns a handle.
func TestVetReportsCopies(t *testing.T) {
	source := "testdata/copies/copies.go"
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command("go", "vet", "-copylocks", "./testdata/copies").CombinedOutput()
	if err == nil {
		t.Error("go vet found nothing")
	}
	found := 0
	for number, line := range strings.Split(string(text), "\n") {
		reported := strings.Contains(string(output), fmt.Sprintf("%s:%d:", source, number+1))
		if reported != strings.Contains(line, "// reported") {
			t.Errorf("line %d: reported: %v: %s", number+1, reported, line)
		}
		if reported {
			found++
		}
	}
	if found < 5 {
		t.Errorf("%v\n%s", err, output)
	}
}
