// Sigterm delivers its events when an orchestrator stops it with SIGTERM. Without a handler the signal ends the process at
// once, and the events of the last seconds are lost.
//
//	sigterm URL TOKEN
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/mpflags/mpflags/bindings/go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	client, err := mpflags.New(os.Args[2], mpflags.WithAPIHost(os.Args[1]))
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	if err := client.WaitReady(ctx); err != nil {
		log.Print(err)
	}
	user := mpflags.Context{"distinct_id": "user-1"}
	fmt.Println("new-checkout:", client.Boolean(ctx, "new-checkout", false, user))

	<-ctx.Done() // a server would serve here

	// Delivers the queued events within shutdown_timeout_ms. Lost events are logged, and an error here.
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}
}
