package cluster_test

import (
	"context"
	"fmt"

	"github.com/stoa-io/stoa/cluster"
)

// printer stands for a node: it asks which of its loops want a message.
type printer struct {
	interest *cluster.Interest
}

func (p *printer) Deliver(channel string, env *cluster.Envelope) {
	fmt.Printf("%s: %s, for loops %b\n", channel, env.Payload, p.interest.Loops(channel))
}

func (p *printer) Congested(int, bool) {}

func Example() {
	ctx := context.Background()
	broker := cluster.NewMemory(cluster.MemoryConfig{})
	node := &printer{interest: cluster.NewInterest(broker, cluster.InterestConfig{})}
	if err := broker.Start(ctx, node); err != nil {
		fmt.Println(err)
		return
	}

	channel := cluster.RoomChannel("chat", "the lobby")
	confirmed := node.interest.Acquire(channel, 2, func(error) {})
	fmt.Println("confirmed at once:", confirmed)
	if err := broker.Publish(channel, &cluster.Envelope{Payload: []byte("hello")}); err != nil {
		fmt.Println(err)
	}

	if err := node.interest.Close(ctx); err != nil {
		fmt.Println(err)
	}
	if err := broker.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// confirmed at once: true
	// r:chat:the%20lobby: hello, for loops 100
}
