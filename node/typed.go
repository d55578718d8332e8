package node

import (
	"context"
	"fmt"

	"github.com/stoa-io/stoa/codec"
)

// OnEmit registers a handler of an event whose body is an In:
//
//	node.OnEmit(orders, "cancel", codec.JSON{}, func(ctx context.Context, e *node.EmitEvent, id OrderID) error { … })
//
// It is not called for a body that the codec cannot decode; the
// codec.DecodeError is logged.
func OnEmit[In any](ns *Namespace, event string, with codec.Codec, handler func(ctx context.Context, e *EmitEvent, in In) error) {
	if handler == nil || with == nil {
		panic(fmt.Sprintf("node: namespace %q: the handler or the codec of emit %q is nil", ns.name, event))
	}
	ns.OnEmit(event, func(ctx context.Context, e *EmitEvent) error {
		in, err := codec.Decode[In](with, e.Event, e.Body)
		if err != nil {
			return err
		}
		return handler(ctx, e, in)
	})
}

// OnAsk registers a handler that answers an In with an Out:
//
//	node.OnAsk(orders, "place", codec.JSON{}, func(ctx context.Context, r *node.AskRequest, o Order) (Receipt, error) { … })
//
// It is not called for a body that the codec cannot decode; the answer is then
// the text of the codec.DecodeError.
func OnAsk[In, Out any](ns *Namespace, event string, with codec.Codec, handler func(ctx context.Context, r *AskRequest, in In) (Out, error)) {
	if handler == nil || with == nil {
		panic(fmt.Sprintf("node: namespace %q: the handler or the codec of ask %q is nil", ns.name, event))
	}
	ns.OnAsk(event, func(ctx context.Context, r *AskRequest) error {
		in, err := codec.Decode[In](with, r.Event, r.Body)
		if err != nil {
			return err
		}
		out, err := handler(ctx, r, in)
		if err != nil {
			return err
		}
		body, err := with.Marshal(out)
		if err != nil {
			return err
		}
		r.Reply(body)
		return nil
	})
}

// Ask asks a client, with an In as the body, and decodes the answer:
//
//	answer, err := node.Ask[Answer](ctx, nsConn, "confirm", codec.JSON{}, question)
//
// The errors are those of NSConn.Ask and of the codec; *codec.DecodeError for
// an answer that the codec cannot decode.
func Ask[Out, In any](ctx context.Context, c *NSConn, event string, with codec.Codec, in In) (out Out, err error) {
	body, err := codec.Encode(with, event, in)
	if err != nil {
		return out, err
	}
	answer, err := c.Ask(ctx, event, body)
	if err != nil {
		return out, err
	}
	return codec.Decode[Out](with, event, answer.Body)
}

// Emit emits an event to a client, with an In as the body.
func Emit[In any](c *NSConn, event string, with codec.Codec, in In) error {
	body, err := codec.Encode(with, event, in)
	if err != nil {
		return err
	}
	return c.Emit(event, body)
}
