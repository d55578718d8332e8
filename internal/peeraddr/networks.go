package peeraddr

import (
	"errors"
	"fmt"
	"net/netip"
)

// Networks are those of trusted proxies. Empty trusts none. It is immutable.
type Networks struct{ prefixes []netip.Prefix }

// NewNetworks returns the set of these networks. The error names the first one
// that cannot be used.
func NewNetworks(prefixes []netip.Prefix) (Networks, error) {
	for _, p := range prefixes {
		switch {
		case !p.IsValid():
			return Networks{}, errors.New("a network is not valid")
		case p.Bits() == 0:
			return Networks{}, fmt.Errorf("%s: with every address trusted, every client could choose its own", p)
		case p.Addr().Is4In6():
			return Networks{}, fmt.Errorf("%s: write an IPv4 network in its own form, such as 10.0.0.0/8", p)
		}
	}
	return Networks{prefixes}, nil
}

// ParseNetwork reads a network such as 10.0.0.0/8, or one address.
func ParseNetwork(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q: want a network such as 10.0.0.0/8, or an address", text)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// Empty reports whether no proxy is trusted.
func (n *Networks) Empty() bool { return len(n.prefixes) == 0 }

// Contains reports whether an address is in one of the networks.
func (n *Networks) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range n.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// ContainsPeer is Contains for the address of a socket's peer, "host:port". A
// peer without an IP address is that of a Unix socket, which only local
// programs can open: it is trusted if any network is.
func (n *Networks) ContainsPeer(peer string) bool {
	if n.Empty() {
		return false
	}
	a, err := netip.ParseAddrPort(peer)
	return err != nil || n.Contains(a.Addr())
}
