package compat_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// TestValuesByKey: a client of neffos that joins a room first receives the
// newest message of each key, and then those that follow.
func TestValuesByKey(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport node.Transport) {
		for name, dialer := range dialers {
			t.Run(name, func(t *testing.T) {
				s := startConfigured(t, "127.0.0.1:0", node.Config{
					Transport: transport,
					Namespaces: map[string]node.NamespaceOptions{namespace: {
						Relay: node.RelayRooms, History: node.HistoryOptions{Messages: 1, LatestBy: "symbol"},
					}},
				})
				sender, witness, late := dial(t, dialer, s, "sender"), dial(t, dialer, s, "witness"), dial(t, dialer, s, "late")
				prices := sender.connect(t, "prices").Room("prices")
				witness.connect(t, "prices")
				price := func(symbol string, value int) string {
					return fmt.Sprintf(`{"symbol":%q,"price":%d}`, symbol, value)
				}
				sent := []string{price("a", 1), price("b", 2), price("a", 3), "closed", price("c", 4)}
				for _, body := range sent {
					prices.Emit("price", []byte(body))
				}
				witness.received(t, len(sent))
				late.connect(t, "prices")
				prices.Emit("price", []byte(price("b", 5)))
				want := []string{price("b", 2), price("a", 3), price("c", 4), price("b", 5)}
				if got := bodies(late.received(t, len(want))); !slices.Equal(got, want) {
					t.Errorf("the late client received %q, want %q", got, want)
				}
			})
		}
	})
}
