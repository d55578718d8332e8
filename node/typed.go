package node

import (
	"context"
	"fmt"

	"github.com/stoa-io/stoa/internal/body"
)

// Codec turns bodies into values and back. It must be safe for concurrent use. One
// that is written for a node fits a client, and the other way round.
type Codec = body.Codec

// JSON is the codec of package encoding/json.
var JSON Codec = body.JSON{}

// BodyError says that a body is not what a handler expects. Its text is the
// answer to an ask; Unwrap returns the codec's error.
type BodyError = body.Error

// TypedEmit registers a handler for an event whose body is an In:
//
//	node.TypedEmit(orders, "cancel", node.JSON, func(ctx context.Context, c *node.NSConn, id OrderID) error { … })
//
// It is not called for a body that the codec does not take: that is a BodyError.
func TypedEmit[In any](ns *Namespace, event string, codec Codec, h func(ctx context.Context, c *NSConn, in In) error) {
	ns.OnEmit(event, func(ctx context.Context, c *NSConn, m *Message) error {
		in, err := body.Decode[In](codec, m.Event, m.Body)
		if err != nil {
			return err
		}
		return h(ctx, c, in)
	})
}

// TypedAsk registers a handler that answers an In with an Out:
//
//	node.TypedAsk(orders, "place", node.JSON, func(ctx context.Context, c *node.NSConn, o Order) (Receipt, error) { … })
//
// It is not called for a body that the codec does not take: that is answered with
// a BodyError.
func TypedAsk[In, Out any](ns *Namespace, event string, codec Codec, h func(ctx context.Context, c *NSConn, in In) (Out, error)) {
	ns.OnAsk(event, func(ctx context.Context, c *NSConn, m *Message) ([]byte, error) {
		in, err := body.Decode[In](codec, m.Event, m.Body)
		if err != nil {
			return nil, err
		}
		out, err := h(ctx, c, in)
		if err != nil {
			return nil, err
		}
		return codec.Marshal(out)
	})
}

// AskTyped asks a connection, with In and Out as bodies.
func AskTyped[Out, In any](ctx context.Context, c *NSConn, event string, codec Codec, in In) (out Out, err error) {
	asked, err := codec.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("node: body of %q: %w", event, err)
	}
	answer, err := c.Ask(ctx, event, asked)
	if err != nil {
		return out, err
	}
	return body.Decode[Out](codec, event, answer.Body)
}
