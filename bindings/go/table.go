//go:build cgo

package mpflags

// #include "mpflags.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// EvaluateTable evaluates flags for every row of a table in Arrow's format. Both pointers are to a struct ArrowArrayStream of
// Arrow's C data interface, such as arrow-go's cdata.CArrowArrayStream: users is the table, and results becomes a stream of
// the results. Options is a JSON object, as docs/tables.md describes, or empty.
//
// Users is moved, and released even if the call fails, unless the client is closed. The caller releases results, which may outlive the client: it gets a
// batch of users when it is asked for one.
//
// It fails with [ErrInvalidArgument], and a message that names the option, column or flag, for a mistake in the options, for a
// column that a flag cannot read, and for a remote client.
func (c *Client) EvaluateTable(users, results unsafe.Pointer, options string) error {
	own := c.own()
	defer runtime.KeepAlive(own)
	return c.call(func(n native) error {
		var failure *C.mpflags_error
		text, length := in(options)
		return failed(C.mpflags_client_evaluate_table(n.client, (*C.struct_ArrowArrayStream)(users), text, length,
			(*C.struct_ArrowArrayStream)(results), &failure), &failure)
	})
}
