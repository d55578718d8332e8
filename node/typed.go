package node

import (
	"context"

	"github.com/stoa-io/stoa/codec"
)

// TypedEmit registers a handler for an event whose body is an In:
//
//	node.TypedEmit(orders, "cancel", codec.JSON{}, func(ctx context.Context, c *node.NSConn, id OrderID) error { … })
//
// It is not called for a body that the codec does not take: that is a codec.DecodeError.
func TypedEmit[In any](ns *Namespace, event string, with codec.Codec, h func(ctx context.Context, c *NSConn, in In) error) {
	ns.OnEmit(event, func(ctx context.Context, c *NSConn, m *Message) error {
		in, err := codec.Decode[In](with, m.Event, m.Body)
		if err != nil {
			return err
		}
		return h(ctx, c, in)
	})
}

// TypedAsk registers a handler that answers an In with an Out:
//
//	node.TypedAsk(orders, "place", codec.JSON{}, func(ctx context.Context, c *node.NSConn, o Order) (Receipt, error) { … })
//
// It is not called for a body that the codec does not take: that is answered with
// a codec.DecodeError.
func TypedAsk[In, Out any](ns *Namespace, event string, with codec.Codec, h func(ctx context.Context, c *NSConn, in In) (Out, error)) {
	ns.OnAsk(event, func(ctx context.Context, c *NSConn, m *Message) ([]byte, error) {
		in, err := codec.Decode[In](with, m.Event, m.Body)
		if err != nil {
			return nil, err
		}
		out, err := h(ctx, c, in)
		if err != nil {
			return nil, err
		}
		return with.Marshal(out)
	})
}

// AskTyped asks a connection, with In and Out as bodies.
func AskTyped[Out, In any](ctx context.Context, c *NSConn, event string, with codec.Codec, in In) (out Out, err error) {
	asked, err := codec.Encode(with, event, in)
	if err != nil {
		return out, err
	}
	answer, err := c.Ask(ctx, event, asked)
	if err != nil {
		return out, err
	}
	return codec.Decode[Out](with, event, answer.Body)
}
