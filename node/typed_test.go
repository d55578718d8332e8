package node_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

type receipt struct {
	Total int `json:"total"`
}

// decimal is a codec for numbers as text.
type decimal struct{}

func (decimal) Marshal(value any) ([]byte, error) {
	number, ok := value.(int)
	if !ok || number < 0 {
		return nil, fmt.Errorf("%v is no number of this codec", value)
	}
	return strconv.AppendInt(nil, int64(number), 10), nil
}

func (decimal) Unmarshal(body []byte, value any) error {
	number, err := strconv.Atoi(string(body))
	if err != nil {
		return errors.New("not a number")
	}
	*value.(*int) = number
	return nil
}

func TestHandlersOfValues(t *testing.T) {
	var j journal
	var out logged
	n := startHandling(t, out.into, func(n *node.Node) {
		ns := n.Namespace("shop", node.NamespaceOptions{})
		node.OnAsk(ns, "place", codec.JSON{}, func(_ context.Context, _ *node.AskRequest, o order) (receipt, error) {
			if o.Count == 0 {
				return receipt{}, errors.New("of nothing")
			}
			return receipt{Total: 3 * o.Count}, nil
		})
		node.OnAsk(ns, "minus", decimal{}, func(_ context.Context, _ *node.AskRequest, number int) (int, error) { return number - 10, nil })
		node.OnEmit(ns, "cancel", codec.JSON{}, func(_ context.Context, _ *node.EmitEvent, o *order) error {
			j.add("cancel %s", o.Item)
			return nil
		})
	})
	p := join(t, n, "shop")
	for _, test := range []struct{ event, body, answer string }{
		{"place", `{"item":"tea","count":2}`, `0;0;{"total":6}`},
		{"place", `{"item":"tea"}`, `1;0;of nothing`},
		{"place", `{"item":7}`, `1;0;bad body of "place": json: cannot unmarshal number into Go struct field order.item of type string`},
		{"place", ``, `1;0;bad body of "place": unexpected end of JSON input`},
		{"minus", "12", "0;0;2"},
		{"minus", "x", `1;0;bad body of "minus": not a number`},
		{"minus", "1", "1;0;-9 is no number of this codec"},
	} {
		p.send("$1;shop;;" + test.event + ";0;0;" + test.body)
		p.expect("$1;shop;;" + test.event + ";" + test.answer)
	}
	p.send(";shop;;cancel;0;0;[")
	p.send(`;shop;;cancel;0;0;{"item":"tea"}`)
	j.expect(t, "cancel tea")
	if !strings.Contains(out.String(), "bad body of") {
		t.Error("a bad body of an emit is not in the log")
	}
	if got := node.HandlerCount(n, node.HandlerEmit, node.HandlerFailed); got != 1 {
		t.Errorf("%d emits have failed, want 1", got)
	}
}

func TestAskWithValues(t *testing.T) {
	conns := make(chan *node.NSConn, 1)
	n := startHandling(t, nil, func(n *node.Node) {
		n.Namespace("shop", node.NamespaceOptions{}).OnConnected(func(_ context.Context, e *node.ConnectedEvent) { conns <- e.NSConn })
	})
	p := join(t, n, "shop")
	c := <-conns
	ask := func(product string) func() (receipt, error) {
		return async(func() (receipt, error) {
			return node.Ask[receipt](within(t), c, "price", codec.JSON{}, order{Item: product, Count: 1})
		})
	}
	wait := ask("tea")
	p.send(p.request(`;shop;;price;0;0;{"item":"tea","count":1}`) + `;shop;;price;0;0;{"total":4}`)
	if got, err := wait(); err != nil || got.Total != 4 {
		t.Errorf("%+v, %v; want a total of 4", got, err)
	}
	wait = ask("x")
	p.send(p.request(`;shop;;price;0;0;{"item":"x","count":1}`) + ";shop;;price;0;0;none")
	var bad *codec.DecodeError
	if _, err := wait(); !errors.As(err, &bad) || bad.Event != "price" || errors.Unwrap(bad) == nil {
		t.Errorf("%v, want a DecodeError of the answer", err)
	}
	wait = ask("y")
	p.send(p.request(`;shop;;price;0;0;{"item":"y","count":1}`) + ";shop;;price;1;0;sold out")
	if _, err := wait(); !errors.Is(err, wire.RemoteError("sold out")) {
		t.Errorf("%v, want the client's error", err)
	}
	if _, err := node.Ask[int](within(t), c, "price", codec.Codec(decimal{}), -1); err == nil || !strings.Contains(err.Error(), `body of "price"`) {
		t.Errorf("%v, want an error that says that the ask has no body", err)
	}
}
