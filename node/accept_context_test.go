package node_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stoa-io/stoa/node"
)

// The context of an accept handler ends with the handler: if it was never asked
// for Done, too, and with it those that the handler has made.
func TestAcceptContextEnds(t *testing.T) {
	for name, derive := range map[string]func(context.Context) context.Context{
		"unused":  func(ctx context.Context) context.Context { return ctx },
		"waiting": func(ctx context.Context) context.Context { ctx.Done(); return ctx },
		"derived": func(ctx context.Context) context.Context {
			child, cancel := context.WithCancel(ctx)
			t.Cleanup(cancel)
			return child
		},
	} {
		t.Run(name, func(t *testing.T) {
			var checked chan struct{}
			eachFront(t, func(c *node.Config) { c.Timeouts.Handshake = time.Hour }, func(n *node.Node) {
				checked = make(chan struct{})
				n.OnAccept(func(ctx context.Context, a *node.Accept) error {
					if ctx != a.Request.Context() {
						t.Error("the context of the request is another one")
					}
					if end, ok := ctx.Deadline(); !ok || time.Until(end) > time.Hour {
						t.Errorf("the deadline is %v, %t, want one within an hour", end, ok)
					}
					made := derive(ctx)
					if err := made.Err(); err != nil {
						t.Errorf("Err is %v before the handler has returned", err)
					}
					a.Set("context", made)
					return nil
				})
				n.OnOpened(func(_ context.Context, e *node.OpenedEvent) {
					made := e.Conn.Value("context").(context.Context)
					<-made.Done()
					if err := made.Err(); !errors.Is(err, context.Canceled) {
						t.Errorf("Err is %v, want %v", err, context.Canceled)
					}
					close(checked)
				})
			}, func(t *testing.T, f *front) {
				p := f.connect(t)
				p.write(upgradeRequest("/ws"))
				p.expectSwitch()
				p.hello()
				<-checked
			})
		})
	}
}

// A handler that does not wait for its context is late all the same.
func TestAcceptContextExpiresUnasked(t *testing.T) {
	eachFront(t, func(c *node.Config) { c.Timeouts.Handshake = time.Second }, func(n *node.Node) {
		n.OnAccept(func(ctx context.Context, _ *node.Accept) error {
			for ctx.Err() == nil {
				runtime.Gosched()
			}
			if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Err is %v, want %v", err, context.DeadlineExceeded)
			}
			return nil
		})
	}, func(t *testing.T, f *front) {
		p := f.connect(t)
		p.write(upgradeRequest("/ws"))
		p.expectRefusal(http.StatusServiceUnavailable)
		expectHandshakes(t, f.Node, node.HandshakeTimeout, 1)
	})
}
