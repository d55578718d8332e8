package client

import (
	"context"

	"github.com/stoa-io/stoa/codec"
)

// TypedEmit makes the handler of an event whose body is an In:
//
//	OnEmit: map[string]client.EmitHandler{"moved": client.TypedEmit(codec.JSON{}, onMoved)}
//
// It is not called for a body that the codec does not take: that is a codec.DecodeError.
func TypedEmit[In any](with codec.Codec, h func(ctx context.Context, ns *NSConn, in In) error) EmitHandler {
	return func(ctx context.Context, ns *NSConn, m *Message) error {
		in, err := codec.Decode[In](with, m.Event, m.Body)
		if err != nil {
			return err
		}
		return h(ctx, ns, in)
	}
}

// TypedAsk makes the handler that answers an In with an Out. It is not called for a
// body that the codec does not take: that is answered with a codec.DecodeError.
func TypedAsk[In, Out any](with codec.Codec, h func(ctx context.Context, ns *NSConn, in In) (Out, error)) AskHandler {
	return func(ctx context.Context, ns *NSConn, m *Message) ([]byte, error) {
		in, err := codec.Decode[In](with, m.Event, m.Body)
		if err != nil {
			return nil, err
		}
		out, err := h(ctx, ns, in)
		if err != nil {
			return nil, err
		}
		return with.Marshal(out)
	}
}

// AskTyped asks the server, with In and Out as bodies. The errors are those of
// NSConn.Ask, the codec's, and codec.DecodeError for an answer that the codec does not take.
func AskTyped[Out, In any](ctx context.Context, ns *NSConn, event string, with codec.Codec, in In) (out Out, err error) {
	asked, err := codec.Encode(with, event, in)
	if err != nil {
		return out, err
	}
	answer, err := ns.Ask(ctx, event, asked)
	if err != nil {
		return out, err
	}
	return codec.Decode[Out](with, event, answer.Body)
}

// EmitTyped emits an event with In as its body.
func EmitTyped[In any](ns *NSConn, event string, with codec.Codec, in In) error {
	asked, err := codec.Encode(with, event, in)
	if err != nil {
		return err
	}
	return ns.Emit(event, asked)
}
