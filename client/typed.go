package client

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

// TypedEmit makes the handler of an event whose body is an In:
//
//	OnEmit: map[string]client.EmitHandler{"moved": client.TypedEmit(client.JSON, onMoved)}
//
// It is not called for a body that the codec does not take: that is a BodyError.
func TypedEmit[In any](codec Codec, h func(ctx context.Context, ns *NSConn, in In) error) EmitHandler {
	return func(ctx context.Context, ns *NSConn, m *Message) error {
		in, err := body.Decode[In](codec, m.Event, m.Body)
		if err != nil {
			return err
		}
		return h(ctx, ns, in)
	}
}

// TypedAsk makes the handler that answers an In with an Out. It is not called for a
// body that the codec does not take: that is answered with a BodyError.
func TypedAsk[In, Out any](codec Codec, h func(ctx context.Context, ns *NSConn, in In) (Out, error)) AskHandler {
	return func(ctx context.Context, ns *NSConn, m *Message) ([]byte, error) {
		in, err := body.Decode[In](codec, m.Event, m.Body)
		if err != nil {
			return nil, err
		}
		out, err := h(ctx, ns, in)
		if err != nil {
			return nil, err
		}
		return codec.Marshal(out)
	}
}

// AskTyped asks the server, with In and Out as bodies. The errors are those of
// NSConn.Ask, the codec's, and BodyError for an answer that the codec does not take.
func AskTyped[Out, In any](ctx context.Context, ns *NSConn, event string, codec Codec, in In) (out Out, err error) {
	asked, err := codec.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("client: body of %q: %w", event, err)
	}
	answer, err := ns.Ask(ctx, event, asked)
	if err != nil {
		return out, err
	}
	return body.Decode[Out](codec, event, answer.Body)
}

// EmitTyped emits an event with In as its body.
func EmitTyped[In any](ns *NSConn, event string, codec Codec, in In) error {
	asked, err := codec.Marshal(in)
	if err != nil {
		return fmt.Errorf("client: body of %q: %w", event, err)
	}
	return ns.Emit(event, asked)
}
