//go:build cgo

package mpflags

import (
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"time"
)

// TrackExposure reports that a variant was shown, once per flag, variant and user within exposure_window_ms: one that
// was evaluated with [WithoutExposure], or is of [Client.AllVariants]. It only enqueues.
//
// It fails with [ErrInvalidArgument] when the variant was reported by its evaluation, when none is assigned, or the
// context had no distinct_id; with [ErrQueueFull], and with [ErrClosed].
func (c *Client) TrackExposure(v Variant) error {
	if v.source == nil {
		return newError(ErrInvalidArgument, "TrackExposure takes a variant evaluated with WithoutExposure, or of AllVariants")
	}
	return c.call(func(n native) error { return n.trackExposure(v.source) })
}

// Track sends an event of a user. "time" and "$insert_id" among the properties replace the library's: the time is a
// [time.Time], or a number of seconds or milliseconds since 1970. An empty distinctID needs a "$device_id" among the
// properties, as Mixpanel has it for users who are not known yet. Track only enqueues.
//
// It fails with [ErrInvalidArgument] when a name is empty, the time is anything else, or the properties are not to be had
// as JSON, with [ErrQueueFull], and with [ErrClosed].
func (c *Client) Track(event, distinctID string, properties map[string]any) error {
	properties, err := timed(properties)
	if err != nil {
		return err
	}
	json, err := encoded("properties", properties)
	if err != nil {
		return err
	}
	return c.call(func(n native) error { return n.track(event, distinctID, json) })
}

// timed gives properties as Mixpanel takes them, with a time as milliseconds since 1970.
func timed(properties map[string]any) (map[string]any, error) {
	if properties == nil {
		return map[string]any{}, nil
	}
	var at time.Time
	switch value := properties["time"].(type) {
	case time.Time:
		at = value
	case *time.Time:
		if value == nil {
			return nil, newError(ErrInvalidArgument, "properties: `time` is a nil *time.Time: leave it out, or give the time of the event")
		}
		at = *value
	default:
		return properties, nil
	}
	if at.UnixMilli() < 0 {
		return nil, newError(ErrInvalidArgument, fmt.Sprintf("properties: `time`: %s is before 1970, which Mixpanel refuses", at.Format(time.RFC3339)))
	}
	properties = maps.Clone(properties)
	properties["time"] = at.UnixMilli()
	return properties, nil
}

// UpdatePeople changes the profile of a user. operation is $set, $set_once, $add, $append, $union or $remove with a map,
// $unset with a slice of names, or $delete with nil. It only enqueues, and fails as [Client.Track] does.
func (c *Client) UpdatePeople(operation, distinctID string, value any) error {
	json, err := encoded("value", value)
	if err != nil {
		return err
	}
	return c.call(func(n native) error { return n.peopleUpdate(operation, distinctID, json) })
}

// SetOverride gives a flag a value from now on, whatever Mixpanel says. For tests and tools.
func (c *Client) SetOverride(flag string, value any) error {
	json, err := encoded("override of `"+flag+"`", value)
	if err != nil {
		return err
	}
	return c.call(func(n native) error { return n.setOverride(flag, json) })
}

// ClearOverride takes it back, one of the options too. Without one it does nothing.
func (c *Client) ClearOverride(flag string) error {
	return c.call(func(n native) error { return n.clearOverride(flag) })
}

// Statistics is what became of events.
type Statistics struct {
	Enqueued          uint64 `json:"enqueued"`
	Sent              uint64 `json:"sent"`
	Deduplicated      uint64 `json:"deduplicated"`
	WithoutDistinctID uint64 `json:"without_distinct_id"`
	QueueLength       uint64 `json:"queue_length"`
	// RemoteInFlight counts remote evaluations under way, whether or not anybody waits for them.
	RemoteInFlight uint64 `json:"remote_in_flight"`
	// UnusableAttributes counts evaluations whose context had an attribute that cannot be used.
	UnusableAttributes uint64      `json:"unusable_attributes"`
	Dropped            Dropped     `json:"dropped"`
	Unsupported        Unsupported `json:"unsupported"`
	// LastError is nil when there was none.
	LastError *LastError `json:"last_error"`
}

// Unsupported is what flags use and the library does not know or cannot check.
type Unsupported struct {
	// Count is the number of such flags.
	Count uint64 `json:"count"`
	// Flags has the names of operators and restrictions by flag, for the first 64 flags.
	Flags map[string][]string `json:"flags"`
}

// Dropped counts events that were lost, by cause.
type Dropped struct {
	QueueFull uint64 `json:"queue_full"`
	Rejected  uint64 `json:"rejected"`
	Shutdown  uint64 `json:"shutdown"`
}

// LastError is the last failure of sending.
type LastError struct {
	Message string `json:"message"`
	// Milliseconds since 1970.
	Milliseconds int64 `json:"time"`
}

// Time is when it was.
func (e LastError) Time() time.Time { return time.UnixMilli(e.Milliseconds) }

// Stats tells what became of events.
func (c *Client) Stats() (Statistics, error) {
	var statistics Statistics
	err := c.call(func(n native) error {
		text, err := n.statistics()
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &statistics)
	})
	return statistics, err
}

// call is for calls that are short, and not hot.
func (c *Client) call(with func(native) error) error {
	own := c.own()
	defer runtime.KeepAlive(own)
	if !own.core.calls.enter(0) {
		return own.core.closed()
	}
	defer own.core.calls.exit(0)
	return with(own.core.native)
}
