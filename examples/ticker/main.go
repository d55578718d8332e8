package main

import (
	"context"
	"flag"
	"log"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
)

const (
	namespace = "default"
	room      = "ticks"
	// patience is how long a batch waits for the clients' answers.
	patience = 10 * time.Second
)

// ticker runs one broadcast at a time.
type ticker struct {
	node     *node.Node
	messages int
	batch    int
	running  atomic.Bool
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	messages := flag.Int("messages", 100_000, "number of messages of one broadcast")
	batch := flag.Int("batch", 2_000, "number of messages between two asks whether all members are ready")
	flag.Parse()
	if *messages < 0 || *batch < 1 {
		log.Fatal("-messages must not be negative, and -batch at least 1")
	}
	n, err := node.New(node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := run.Context()
	t := &ticker{node: n, messages: *messages, batch: *batch}
	n.Namespace(namespace, node.NamespaceOptions{}).OnEmit("start", func(context.Context, *node.EmitEvent) error {
		// The broadcast needs its own goroutine. In the handler it would delay
		// this client's further messages, and stop when the client's connection
		// closes.
		if t.running.CompareAndSwap(false, true) {
			go t.run(ctx)
		}
		return nil
	})
	run.Serve(ctx, n, *listen, "/ws")
}

func (t *ticker) run(ctx context.Context) {
	defer t.running.Store(false)
	began := time.Now()
	if err := t.broadcast(ctx); err != nil {
		log.Printf("the broadcast ended early: %v", err)
		return
	}
	log.Printf("%d messages in %s", t.messages, time.Since(began).Round(time.Millisecond))
}

// broadcast emits in batches. Emit blocks while the node is congested, but a
// single client may be slower than the node. The node queues at most
// Limits.SendQueue bytes (1 MiB) for such a client and then closes its
// connection, so that one client cannot block a room. Where no message may be
// lost, the clients have to confirm: an answered ask means that the client has
// read all messages before it, so at most about one batch is queued for it.
func (t *ticker) broadcast(ctx context.Context) error {
	for number := 1; number <= t.messages; number++ {
		if err := t.node.Emit(ctx, message("tick", number), node.EmitOptions{}); err != nil {
			return err
		}
		if number%t.batch == 0 {
			if err := t.awaitAll(ctx); err != nil {
				return err
			}
		}
	}
	return t.node.Emit(ctx, message("end", t.messages), node.EmitOptions{})
}

// awaitAll asks all members and waits for their answers, of any content; an
// error is an answer, too. A client that does not answer delays the broadcast
// until the timeout.
func (t *ticker) awaitAll(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := t.node.AskAll(patient, node.Message{Namespace: namespace, Room: room, Event: "ready"})
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func message(event string, number int) node.Message {
	return node.Message{Namespace: namespace, Room: room, Event: event, Body: strconv.AppendInt(nil, int64(number), 10)}
}
