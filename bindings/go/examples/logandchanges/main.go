// Logandchanges writes the client's log lines to slog as JSON, and prints states and the keys of changed flags.
//
//	logandchanges URL TOKEN SECONDS
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
)

func main() {
	seconds, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	client, err := mpflags.New(os.Args[2], mpflags.WithAPIHost(os.Args[1]), mpflags.WithPollingInterval(100*time.Millisecond),
		mpflags.WithLogger(slog.New(slog.NewJSONHandler(os.Stderr, nil))))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	client.OnItem(func(item mpflags.Item) {
		switch item := item.(type) {
		case mpflags.StateItem:
			fmt.Println("state:", item.State, item.Message)
		case mpflags.ChangeItem:
			fmt.Println("changed:", item.Flags)
		}
	})
	if err := client.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	time.Sleep(time.Duration(seconds) * time.Second)
}
