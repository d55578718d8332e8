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
	// patience is how long a batch waits for clients that do not answer.
	patience = 10 * time.Second
)

// ticker broadcasts once at a time.
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
	n.Namespace(namespace).OnEmit("start", func(context.Context, *node.NSConn, *node.Message) error {
		// On a goroutine of its own: inside the handler it would block the
		// further messages of this client, and would end with the client's
		// connection.
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
// single client may be slower than the node. The node queues the messages for
// such a client, at most Limits.Queue bytes (1 MiB), and then closes its
// connection, as one client must not block a room. That is right for most
// rooms, and wrong where nothing may be lost: there the clients have to
// confirm. A client that has answered an ask has read everything that was sent
// before it, so about one batch is queued for it at most.
func (t *ticker) broadcast(ctx context.Context) error {
	for number := 1; number <= t.messages; number++ {
		if err := t.node.Emit(ctx, message("tick", number)); err != nil {
			return err
		}
		if number%t.batch == 0 {
			if err := t.awaitAll(ctx); err != nil {
				return err
			}
		}
	}
	return t.node.Emit(ctx, message("end", t.messages))
}

// awaitAll asks the room. The answers do not matter, nor does an error:
// it is an answer, too. A client that does not answer delays it until the
// timeout.
func (t *ticker) awaitAll(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := t.node.AskEverybody(patient, node.Message{Namespace: namespace, Room: room, Event: "ready"})
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func message(event string, number int) node.Message {
	return node.Message{Namespace: namespace, Room: room, Event: event, Body: strconv.AppendInt(nil, int64(number), 10)}
}
