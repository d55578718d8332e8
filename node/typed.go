package node

import (
	"context"
	"encoding/json"
	"fmt"
)

// Codec turns bodies into values and back. It must be safe for concurrent use.
type Codec interface {
	Marshal(value any) ([]byte, error)
	Unmarshal(body []byte, value any) error
}

// JSON is the codec of package encoding/json.
var JSON Codec = jsonCodec{}

type jsonCodec struct{}

func (jsonCodec) Marshal(value any) ([]byte, error)      { return json.Marshal(value) }
func (jsonCodec) Unmarshal(body []byte, value any) error { return json.Unmarshal(body, value) }

// BodyError says that a body is not what a handler expects. Its text is the
// answer to an ask.
type BodyError struct {
	Event string
	Err   error // the codec's
}

// Error implements error.
func (e *BodyError) Error() string { return fmt.Sprintf("bad body of %q: %v", e.Event, e.Err) }

// Unwrap returns the codec's error.
func (e *BodyError) Unwrap() error { return e.Err }

// TypedEmit registers a handler for an event whose body is an In:
//
//	node.TypedEmit(orders, "cancel", node.JSON, func(ctx context.Context, c *node.NSConn, id OrderID) error { … })
//
// It is not called for a body that the codec does not take: that is a BodyError.
func TypedEmit[In any](ns *Namespace, event string, codec Codec, h func(ctx context.Context, c *NSConn, in In) error) {
	ns.OnEmit(event, func(ctx context.Context, c *NSConn, m *Message) error {
		in, err := decode[In](codec, m)
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
		in, err := decode[In](codec, m)
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

func decode[In any](codec Codec, m *Message) (in In, err error) {
	if err = codec.Unmarshal(m.Body, &in); err != nil {
		err = &BodyError{m.Event, err}
	}
	return in, err
}

// AskTyped asks a connection, with In and Out as bodies.
func AskTyped[Out, In any](ctx context.Context, c *NSConn, event string, codec Codec, in In) (out Out, err error) {
	body, err := codec.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("node: body of %q: %w", event, err)
	}
	answer, err := c.Ask(ctx, event, body)
	if err != nil {
		return out, err
	}
	if err := codec.Unmarshal(answer.Body, &out); err != nil {
		return out, &BodyError{event, err}
	}
	return out, nil
}
