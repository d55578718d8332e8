package client

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

// TypedEmit makes the handler of an event whose body is an In:
//
//	OnEmit: map[string]client.EmitHandler{"moved": client.TypedEmit(client.JSON, onMoved)}
//
// It is not called for a body that the codec does not take: that is a BodyError.
func TypedEmit[In any](codec Codec, h func(ctx context.Context, ns *NSConn, in In) error) EmitHandler {
	return func(ctx context.Context, ns *NSConn, m *Message) error {
		in, err := decode[In](codec, m.Event, m.Body)
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
		in, err := decode[In](codec, m.Event, m.Body)
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
	body, err := codec.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("client: body of %q: %w", event, err)
	}
	answer, err := ns.Ask(ctx, event, body)
	if err != nil {
		return out, err
	}
	return decode[Out](codec, event, answer.Body)
}

// EmitTyped emits an event with In as its body.
func EmitTyped[In any](ns *NSConn, event string, codec Codec, in In) error {
	body, err := codec.Marshal(in)
	if err != nil {
		return fmt.Errorf("client: body of %q: %w", event, err)
	}
	return ns.Emit(event, body)
}

func decode[T any](codec Codec, event string, body []byte) (value T, err error) {
	if err = codec.Unmarshal(body, &value); err != nil {
		err = &BodyError{event, err}
	}
	return value, err
}
