// Installed prints the version of the library it is linked with. `make installed` builds it outside this module, as a user
// would.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/mpflags/mpflags/bindings/go"
)

func main() {
	client, err := mpflags.New("token", mpflags.WithEnablePolling(false), mpflags.WithOverrides(map[string]any{"installed": true}))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	fmt.Println("libmpflags", mpflags.LibraryVersion(), client.Boolean(context.Background(), "installed", false, nil))
}
