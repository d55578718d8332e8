package peeraddr_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/peeraddr"
)

// binaryHeader returns a header of version 2.
func binaryHeader(command, family byte, payload string) string {
	header := "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{command, family})
	return string(binary.BigEndian.AppendUint16([]byte(header), uint16(len(payload)))) + payload
}

const (
	inet  = "\xc0\x00\x02\x01" + "\x0a\x00\x00\x01" + "\x12\x67" + "\x01\xbb"
	inet6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x12\x67" + "\x01\xbb"
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01" + "\x12\x67" + "\x01\xbb"
	tlv = "\x03\x00\x04abcd" + "\x20\x00\x02xx"
)

func TestParseProxy(t *testing.T) {
	const none = "invalid AddrPort"
	for _, c := range []struct {
		name, header string
		client       string
		err          error
	}{
		{"IPv4", "PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n", "192.0.2.1:4711", nil},
		{"IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n", "[2001:db8::1]:4711", nil},
		{"IPv4 as IPv6", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:10.0.0.1 4711 443\r\n", "192.0.2.1:4711", nil},
		{"unknown", "PROXY UNKNOWN\r\n", none, nil},
		{"unknown with more", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", none, nil},
		{"IPv6 as IPv4", "PROXY TCP4 2001:db8::1 10.0.0.1 4711 443\r\n", "", peeraddr.ErrProxyHeader},
		{"IPv4 in a line for IPv6", "PROXY TCP6 192.0.2.1 2001:db8::2 4711 443\r\n", "", peeraddr.ErrProxyHeader},
		{"a zone", "PROXY TCP6 fe80::1%eth0 2001:db8::2 4711 443\r\n", "", peeraddr.ErrProxyHeader},
		{"no target", "PROXY TCP4 192.0.2.1 4711\r\n", "", peeraddr.ErrProxyHeader},
		{"too much", "PROXY TCP4 192.0.2.1 10.0.0.1 4711 443 x\r\n", "", peeraddr.ErrProxyHeader},
		{"two spaces", "PROXY TCP4  192.0.2.1 10.0.0.1 4711 443\r\n", "", peeraddr.ErrProxyHeader},
		{"port too large", "PROXY TCP4 192.0.2.1 10.0.0.1 65536 443\r\n", "", peeraddr.ErrProxyHeader},
		{"port with a zero", "PROXY TCP4 192.0.2.1 10.0.0.1 0443 443\r\n", "", peeraddr.ErrProxyHeader},
		{"port with a sign", "PROXY TCP4 192.0.2.1 10.0.0.1 +443 443\r\n", "", peeraddr.ErrProxyHeader},
		{"no port", "PROXY TCP4 192.0.2.1 10.0.0.1  443\r\n", "", peeraddr.ErrProxyHeader},
		{"another family", "PROXY UDP4 192.0.2.1 10.0.0.1 4711 443\r\n", "", peeraddr.ErrProxyHeader},
		{"nothing", "PROXY \r\n", "", peeraddr.ErrProxyHeader},
		{"LF alone", "PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\n", "", peeraddr.ErrProxyHeader},
		{"lower case", "proxy TCP4 192.0.2.1 10.0.0.1 4711 443\r\n", "", peeraddr.ErrNoProxy},
		{"a line that does not end", "PROXY UNKNOWN " + strings.Repeat("x", 100), "", peeraddr.ErrProxyTooBig},
		{"the longest line", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", none, nil},
		{"a line that is too long", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", "", peeraddr.ErrProxyTooBig},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", "", peeraddr.ErrNoProxy},
		{"TLS", "\x16\x03\x01", "", peeraddr.ErrNoProxy},
		{"empty lines, then HTTP", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", "", peeraddr.ErrNoProxy},

		{"binary IPv4", binaryHeader(0x21, 0x11, inet), "192.0.2.1:4711", nil},
		{"binary IPv6", binaryHeader(0x21, 0x21, inet6), "[2001:db8::1]:4711", nil},
		{"binary IPv4 as IPv6", binaryHeader(0x21, 0x21, mapped), "192.0.2.1:4711", nil},
		{"binary with TLVs", binaryHeader(0x21, 0x11, inet+tlv), "192.0.2.1:4711", nil},
		{"binary unix", binaryHeader(0x21, 0x31, strings.Repeat("a", 216)), none, nil},
		{"binary datagrams", binaryHeader(0x21, 0x12, inet), none, nil},
		{"binary unspecified", binaryHeader(0x21, 0x00, ""), none, nil},
		{"binary unspecified with TLVs", binaryHeader(0x21, 0x00, tlv), none, nil},
		{"binary local", binaryHeader(0x20, 0x00, ""), none, nil},
		{"binary local with an address", binaryHeader(0x20, 0x11, inet), none, nil},
		{"binary of the largest size", binaryHeader(0x21, 0x11, inet+strings.Repeat("t", peeraddr.MaxProxyHeader-28)), "192.0.2.1:4711", nil},
		{"binary too large", binaryHeader(0x21, 0x11, inet+strings.Repeat("t", peeraddr.MaxProxyHeader-27)), "", peeraddr.ErrProxyTooBig},
		{"binary local too large", binaryHeader(0x20, 0x00, strings.Repeat("t", peeraddr.MaxProxyHeader)), "", peeraddr.ErrProxyTooBig},
		{"binary too short for IPv4", binaryHeader(0x21, 0x11, inet[:11]), "", peeraddr.ErrProxyHeader},
		{"binary too short for IPv6", binaryHeader(0x21, 0x21, inet), "", peeraddr.ErrProxyHeader},
		{"binary too short for unix", binaryHeader(0x21, 0x31, inet6), "", peeraddr.ErrProxyHeader},
		{"binary of another version", binaryHeader(0x11, 0x11, inet), "", peeraddr.ErrProxyHeader},
		{"binary with another command", binaryHeader(0x22, 0x11, inet), "", peeraddr.ErrProxyHeader},
		{"binary with another family", binaryHeader(0x21, 0x41, inet), "", peeraddr.ErrProxyHeader},
		{"binary with another transport", binaryHeader(0x21, 0x13, inet), "", peeraddr.ErrProxyHeader},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, behind := range []string{"", "GET / HTTP/1.1\r\n", "\r\n\r\n"} {
				client, size, err := peeraddr.ParseProxy([]byte(c.header + behind))
				if !errors.Is(err, c.err) || err == nil && (client.String() != c.client || size != len(c.header)) {
					t.Fatalf("with %q behind: %v, size %d, %v; want %s, size %d, %v", behind, client, size, err, c.client, len(c.header), c.err)
				}
			}
			if c.err != nil {
				return
			}
			for end := range len(c.header) {
				if _, size, err := peeraddr.ParseProxy([]byte(c.header[:end])); size != 0 || err != nil {
					t.Fatalf("the first %d bytes: size %d, %v, want to wait for more", end, size, err)
				}
			}
		})
	}
}

// However the bytes arrive, the result is that of all of them, and no more than
// the largest header is needed for it.
func FuzzParseProxy(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\nGET /", "PROXY UNKNOWN\r\n", "GET /", binaryHeader(0x21, 0x11, inet+tlv) + "GET",
		binaryHeader(0x21, 0x21, inet6), binaryHeader(0x20, 0x00, ""),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, size, err := peeraddr.ParseProxy(data)
		if size > len(data) || size > peeraddr.MaxProxyHeader || size > 0 && err != nil {
			t.Fatalf("size %d of %d, %v", size, len(data), err)
		}
		if size == 0 && err == nil && len(data) >= peeraddr.MaxProxyHeader {
			t.Fatalf("%d bytes are not enough", len(data))
		}
		if a := whole.Addr(); whole.IsValid() && (a.Is4In6() || a.Zone() != "" || netip.MustParseAddrPort(whole.String()) != whole) {
			t.Fatalf("the address %s has several forms", whole)
		}
		for end := range min(len(data), 300) {
			part, partSize, partErr := peeraddr.ParseProxy(data[:end])
			switch {
			case partSize == 0 && partErr == nil: // waits
			case partSize != size || part != whole || (partErr == nil) != (err == nil):
				t.Fatalf("after %d bytes %v, %d, %v; after all %v, %d, %v", end, part, partSize, partErr, whole, size, err)
			}
		}
	})
}
