package mpflags

import (
	"encoding/json"
	"runtime"
	"time"
)

// TrackExposure reports that a variant was shown, unless the same exposure was reported within exposure_window_ms: one
// that was evaluated with [WithoutExposure], or is of [Client.AllVariants]. It only enqueues.
//
// It fails with [ErrInvalidArgument] when the variant was reported by its evaluation, when none is assigned, as with a
// [TypeMismatch], or the context had no distinct_id; with [ErrQueueFull], and with [ErrClosed].
func (c *Client) TrackExposure(v Variant) error {
	if v.source == nil {
		return newError(ErrInvalidArgument, "TrackExposure takes a variant evaluated with WithoutExposure, or of AllVariants")
	}
	return c.call(func(n native) error { return n.trackExposure(v.source) })
}

// Track sends an event of a user. An empty distinctID means that no user is known: the properties must have a
// "$device_id" then. "time" (a [time.Time], or a number of seconds or milliseconds since 1970) and "$insert_id" (1 to 36
// ASCII letters, digits or "-") among the properties replace the library's. It only enqueues.
//
// It fails with [ErrInvalidArgument] when the name is empty, the user is and there is no "$device_id", "time" or
// "$insert_id" is another, or the properties have no form in JSON; with [ErrQueueFull], and with [ErrClosed].
func (c *Client) Track(event, distinctID string, properties map[string]any) error {
	if properties == nil {
		properties = map[string]any{}
	}
	json, err := encoded("properties", properties)
	if err != nil {
		return err
	}
	return c.call(func(n native) error { return n.track(event, distinctID, json) })
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
	RemoteInFlight uint64  `json:"remote_in_flight"`
	Dropped        Dropped `json:"dropped"`
	// LastError is nil when there was none.
	LastError *LastError `json:"last_error"`
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
	defer runtime.KeepAlive(c)
	if !c.core.calls.enter(0) {
		return errClosed
	}
	defer c.core.calls.exit(0)
	return with(c.core.native)
}
