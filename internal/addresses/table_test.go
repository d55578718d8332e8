package addresses_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stoa-io/stoa/internal/addresses"
	"github.com/stoa-io/stoa/internal/bucket"
)

func TestKeyOf(t *testing.T) {
	same := [][]string{
		{"192.0.2.1:80", "192.0.2.1:1", "[::ffff:192.0.2.1]:80"},
		{"192.0.2.2:80"},
		{"[2001:db8::1]:80", "[2001:db8::ffff:1]:9", "[2001:db8:0:0:ffff:ffff:ffff:ffff]:80"},
		{"[2001:db8:0:1::1]:80"},
		{"[fe80::1%eth0]:80", "[fe80::2%eth1]:80"},
	}
	seen := make(map[addresses.Key]int)
	for i, group := range same {
		for _, address := range group {
			key, ok := addresses.KeyOf(address, 64)
			if !ok {
				t.Errorf("%s: no key", address)
			}
			if j, known := seen[key]; known && j != i {
				t.Errorf("%s has the key of %v", address, same[j])
			} else if !known && address != group[0] {
				t.Errorf("%s has another key than %s", address, group[0])
			}
			seen[key] = i
		}
	}
	for _, bad := range []string{"", "@", "/run/stoa.sock", "192.0.2.1", "::1", "host:80", "192.0.2.1:", "192.0.2.1:99999", "[::1]"} {
		if key, ok := addresses.KeyOf(bad, 64); ok {
			t.Errorf("%q has the key %x, want none", bad, key)
		}
	}
}

func TestConnectionsOfAnAddress(t *testing.T) {
	table := addresses.New(addresses.Limits{Connections: 2, Prefix: 64})
	enter := func(address string, want addresses.Result) *addresses.Entry {
		t.Helper()
		e, got, _ := table.Enter(address, 0)
		if got != want {
			t.Errorf("%s: result %d, want %d", address, got, want)
		}
		return e
	}
	a := enter("[2001:db8::1]:1", addresses.Entered)
	enter("[2001:db8::2]:1", addresses.Entered)
	enter("[2001:db8::3]:1", addresses.AddressFull)
	b := enter("[2001:db8:0:1::1]:1", addresses.Entered)
	enter("@", addresses.Entered) // no address, no limit
	table.Leave(a, 0)
	enter("[2001:db8::3]:1", addresses.Entered)
	enter("[2001:db8::4]:1", addresses.AddressFull)
	table.Leave(b, 0)
	table.Leave(nil, 0)
	if got := table.Len(); got != 1 {
		t.Errorf("%d addresses, want 1", got)
	}
}

// 10 handshakes per second are exactly 10 per second, after the burst, for an
// address and for the node. Refused ones cost nothing.
func TestRateOfHandshakes(t *testing.T) {
	for name, limits := range map[string]addresses.Limits{
		"address": {AddressHandshakes: bucket.NewRate(10, 5), Prefix: 64},
		"node":    {Handshakes: bucket.NewRate(10, 5), AddressHandshakes: bucket.NewRate(1000, 1000), Prefix: 64},
	} {
		t.Run(name, func(t *testing.T) {
			table := addresses.New(limits)
			entered := 0
			for now := range uint32(10_001) {
				for range 3 {
					e, result, wait := table.Enter("192.0.2.1:1", now)
					if result != addresses.Entered {
						if wait == 0 || wait > 100 {
							t.Fatalf("at %d ms: result %d, another attempt in %d ms, want 1 to 100", now, result, wait)
						}
						continue
					}
					entered++
					table.Leave(e, now)
				}
			}
			if want := 5 + 100; entered != want {
				t.Errorf("%d in ten seconds, want %d", entered, want)
			}
		})
	}
}

// An address above its rate takes no handshakes of the node from others.
func TestOneAddressDoesNotUseUpTheNode(t *testing.T) {
	table := addresses.New(addresses.Limits{Handshakes: bucket.NewRate(1, 10), AddressHandshakes: bucket.NewRate(1, 3), Prefix: 64})
	for i := range 100 {
		if _, result, _ := table.Enter("192.0.2.1:1", 0); (result == addresses.Entered) != (i < 3) {
			t.Fatalf("attempt %d: result %d", i, result)
		}
	}
	for i := range 7 {
		if _, result, _ := table.Enter(fmt.Sprintf("198.51.100.%d:1", i), 0); result != addresses.Entered {
			t.Errorf("another address: result %d", result)
		}
	}
	if _, result, _ := table.Enter("203.0.113.1:1", 0); result != addresses.NodeRate {
		t.Errorf("result %d, want that of the node's rate", result)
	}
}

// A client that changes its address does not make the table grow for ever.
func TestTableIsBounded(t *testing.T) {
	table := addresses.New(addresses.Limits{AddressHandshakes: bucket.NewRate(0.001, 1), Prefix: 64})
	const attempts = 1<<16 + 5000
	for i := range attempts {
		ip := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i), 1})
		e, _, _ := table.Enter(netip.AddrPortFrom(ip, 1).String(), 0)
		table.Leave(e, 0)
	}
	if got := table.Len(); got != 1<<16 {
		t.Errorf("%d addresses, want %d", got, 1<<16)
	}
	table.Leave(nil, 2_000_000)
	e, _, _ := table.Enter("192.0.2.1:1", 2_000_000)
	table.Leave(e, 2_000_000)
	if got := table.Len(); got != 1 {
		t.Errorf("%d addresses after their tokens are back, want 1", got)
	}
}

func FuzzKeyOf(f *testing.F) {
	for _, seed := range []string{"192.0.2.1:80", "[2001:db8::1%eth0]:80", "[::ffff:1.2.3.4]:1", "@", "[::1]:65536"} {
		f.Add(seed, 64)
	}
	f.Fuzz(func(t *testing.T, address string, prefix int) {
		key, ok := addresses.KeyOf(address, prefix)
		parsed, err := netip.ParseAddrPort(address)
		if ok != (err == nil) {
			t.Fatalf("%q: key %v, but parsing: %v", address, ok, err)
		}
		if !ok {
			return
		}
		// The key is the address itself, or a network that it is in.
		ip, network := parsed.Addr().WithZone("").Unmap(), netip.AddrFrom16(key).Unmap()
		if ip.Is4() != network.Is4() && ip.Is4() {
			t.Fatalf("%q has the key %v", address, network)
		}
		if ip.Is4() && ip != network {
			t.Fatalf("%q has the key %v", address, network)
		}
		if ip.Is6() && !netip.PrefixFrom(netip.AddrFrom16(key), min(max(prefix, 1), 128)).Contains(ip) {
			t.Fatalf("%q is not in its network %v/%d", address, network, prefix)
		}
	})
}
