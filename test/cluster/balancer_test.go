package cluster_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	stoaclient "github.com/stoa-io/stoa/client"
)

// balancer forwards each connection to the next node.
type balancer struct {
	ledger   *ledger
	listener net.Listener
	pipes    sync.WaitGroup

	mu    sync.Mutex // guards the rest
	conns []net.Conn
	place int
}

func startBalancer(l *ledger) (*balancer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &balancer{ledger: l, listener: listener}
	b.pipes.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			b.forward(conn)
		}
	})
	return b, nil
}

// forward connects to the next node. Without it, the connection ends.
func (b *balancer) forward(conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.place++
	to, err := net.Dial("tcp", b.ledger.places[b.place%len(b.ledger.places)].address())
	if err != nil {
		_ = conn.Close()
		return
	}
	b.conns = append(b.conns, conn, to)
	for _, way := range [][2]net.Conn{{conn, to}, {to, conn}} {
		b.pipes.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // until one of them ends
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
}

// cut ends all connections.
func (b *balancer) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range b.conns {
		_ = conn.Close()
	}
	b.conns = nil
}

func (b *balancer) close() {
	_ = b.listener.Close()
	b.cut()
	b.pipes.Wait()
}

// library is a publisher of package client.
type library struct {
	ledger   *ledger
	random   *rand.Rand
	balancer *balancer
	conn     *stoaclient.Conn
	room     *stoaclient.Room
}

func openLibrary(l *ledger, room string, random *rand.Rand) (*library, error) {
	b, err := startBalancer(l)
	if err != nil {
		return nil, err
	}
	p := &library{ledger: l, random: random, balancer: b}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p.conn, err = stoaclient.Dial(ctx, "ws://"+p.balancer.listener.Addr().String()+"/ws", stoaclient.Options{
		Reconnect: stoaclient.Reconnect{Base: 20 * time.Millisecond, Cap: 200 * time.Millisecond},
	})
	if err != nil {
		b.close()
		return nil, err
	}
	ns, err := p.conn.Connect(ctx, kept)
	if err == nil {
		p.room, err = ns.JoinRoom(ctx, room)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// publish sends a message until it is confirmed. Of some messages, the
// connection ends at about the time of the answer.
func (p *library) publish(body, id string) (confirmed bool) {
	c := p.ledger.confirms
	if c.cut > 0 && p.random.IntN(c.cut) == 0 {
		c.cuts.Add(1)
		time.AfterFunc(time.Duration(p.random.Int64N(int64(time.Millisecond))), p.balancer.cut)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	position, err := p.room.Publish(ctx, "e", []byte(body), stoaclient.PublishOptions{ID: id})
	if err != nil || position == "" {
		p.ledger.t.Errorf("Publish of %s = %q, %v, want a position", body, position, err)
		return false
	}
	return true
}

func (p *library) close() {
	_ = p.conn.Close() // it may be without a connection
	p.balancer.close()
}
