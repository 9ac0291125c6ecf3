//go:build cgo

package mpflags

import (
	"encoding/json"
	"errors"
	"runtime"
)

// Explain describes how a flag is evaluated for a user, as JSON for people and tools: the step that decided, the subject,
// each rollout's bucket and percentage, the rule with the value of each part, the split's table, and the outcome. Print it
// with %s. It reports no exposure and costs many times as much as an evaluation.
//
// It fails with [ErrInvalidContext] if the library cannot read the context. A remote client does not evaluate flags itself,
// so there it fails with [ErrInvalidArgument] unless the flag is overridden.
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
		err = newError(ErrInvalidContext, contextMessage(found, err.Error()))
	}
	if err != nil {
		return nil, err
	}
	return explanation, nil
}
