//go:build cgo

package mpflags

import (
	"encoding/json"
	"errors"
	"runtime"
)

// Explain tells how a flag comes to what it gives for user, as JSON for people and tools: the step that decided, the
// subject, each rollout's bucket against its percentage, the rule with the value of each part, the split's table, and
// the outcome. It reports no exposure, and costs many times what an evaluation does.
//
// It fails with [ErrInvalidArgument] for a remote client, for which Mixpanel decides, unless the flag is overridden, and
// with [ErrInvalidContext] for a context that is not to be had as JSON.
func (c *Client) Explain(flag string, user Context) (json.RawMessage, error) {
	own := c.own()
	defer runtime.KeepAlive(own)
	body, found := own.core.encode(nil, user)
	var explanation json.RawMessage
	err := c.call(func(n native) error {
		text, err := n.explain(flag, body)
		explanation = json.RawMessage(text)
		return err
	})
	if found != nil && errors.Is(err, ErrInvalidContext) {
		err = newError(ErrInvalidContext, unfitMessage(found, err.Error()))
	}
	if err != nil {
		return nil, err
	}
	return explanation, nil
}
