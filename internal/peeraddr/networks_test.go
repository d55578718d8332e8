package peeraddr_test

import (
	"net/netip"
	"testing"

	"github.com/stoa-io/stoa/internal/peeraddr"
)

func networks(t testing.TB, texts ...string) *peeraddr.Networks {
	t.Helper()
	var prefixes []netip.Prefix
	for _, text := range texts {
		p, err := peeraddr.ParseNetwork(text)
		if err != nil {
			t.Fatal(err)
		}
		prefixes = append(prefixes, p)
	}
	n, err := peeraddr.NewNetworks(prefixes)
	if err != nil {
		t.Fatal(err)
	}
	return &n
}

func TestContainsPeer(t *testing.T) {
	n := networks(t, "10.0.0.0/8", "192.0.2.7", "fe80::/10", "2001:db8::1")
	for peer, want := range map[string]bool{
		"10.1.2.3:80": true, "11.1.2.3:80": false, "[::ffff:10.1.2.3]:80": true,
		"192.0.2.7:1": true, "192.0.2.8:1": false,
		"[2001:db8::1]:1": true, "[2001:db8::2]:1": false, "[fe80::1%eth0]:1": true,
		"@": true, "": true, // a Unix socket
	} {
		if got := n.ContainsPeer(peer); got != want {
			t.Errorf("%q is trusted: %t, want %t", peer, got, want)
		}
	}
	for _, peer := range []string{"10.1.2.3:80", "127.0.0.1:80", "@", ""} {
		if networks(t).ContainsPeer(peer) {
			t.Errorf("%q is trusted without networks", peer)
		}
	}
}

func TestNetworksRefused(t *testing.T) {
	for _, text := range []string{"", "10.0.0.0/33", "10.0.0", "proxy", "::1%lo", "10.0.0.0/8,11.0.0.0/8", "10.0.0.1:80"} {
		if _, err := peeraddr.ParseNetwork(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
	for _, p := range []netip.Prefix{
		{}, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("::ffff:10.0.0.0/104"),
	} {
		if _, err := peeraddr.NewNetworks([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), p}); err == nil {
			t.Errorf("%s was accepted", p)
		}
	}
}
