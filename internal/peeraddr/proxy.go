package peeraddr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// The sizes of headers of the PROXY protocol, in bytes. The specification is
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
const (
	maxLine   = 107 // of version 1, with its end
	binaryMin = 16  // of version 2, without addresses
	maxBinary = 4 << 10
)

// MaxProxyHeader is the size of the largest header that ParseProxy accepts, in
// bytes.
const MaxProxyHeader = maxBinary

// signature begins a header of version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// linePrefix begins a header of version 1.
const linePrefix = "PROXY "

// The errors of ParseProxy.
var (
	ErrNoProxy     = errors.New("no PROXY header")
	ErrProxyHeader = errors.New("malformed PROXY header")
	ErrProxyTooBig = errors.New("PROXY header too large")
)

// ParseProxy reads the header of the PROXY protocol, version 1 or 2, at the
// front of a connection. size is that of the header, 0 if data is not all of
// it. The address is invalid if the proxy names no client with an IP address:
// then the connection is its own, such as a health check, or it does not know.
func ParseProxy(data []byte) (client netip.AddrPort, size int, err error) {
	switch {
	case begins(data, signature):
		return parseBinary(data)
	case begins(data, linePrefix):
		return parseLine(data)
	}
	return netip.AddrPort{}, 0, ErrNoProxy
}

// begins reports whether data begins with the prefix, as far as it is there.
func begins(data []byte, prefix string) bool {
	n := min(len(data), len(prefix))
	return string(data[:n]) == prefix[:n]
}

// parseLine reads version 1:
//
//	PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\r\n
func parseLine(data []byte) (client netip.AddrPort, size int, err error) {
	end := bytes.IndexByte(data[:min(len(data), maxLine)], '\n')
	switch {
	case end < 0 && len(data) >= maxLine:
		return netip.AddrPort{}, 0, ErrProxyTooBig
	case end < 0:
		return netip.AddrPort{}, 0, nil
	case end <= len(linePrefix) || data[end-1] != '\r':
		return netip.AddrPort{}, 0, ErrProxyHeader
	}
	size = end + 1
	parts := strings.Split(string(data[len(linePrefix):end-1]), " ")
	switch parts[0] {
	case "UNKNOWN": // the rest of the line has no meaning
		return netip.AddrPort{}, size, nil
	case "TCP4", "TCP6":
	default:
		return netip.AddrPort{}, 0, ErrProxyHeader
	}
	if len(parts) != 5 {
		return netip.AddrPort{}, 0, ErrProxyHeader
	}
	source, sourceOK := parseEndpoint(parts[0], parts[1], parts[3])
	_, targetOK := parseEndpoint(parts[0], parts[2], parts[4])
	if !sourceOK || !targetOK {
		return netip.AddrPort{}, 0, ErrProxyHeader
	}
	return source, size, nil
}

// parseEndpoint parses an address and a port of version 1.
func parseEndpoint(family, address, port string) (endpoint netip.AddrPort, ok bool) {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is6() != (family == "TCP6") {
		return netip.AddrPort{}, false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, false
	}
	return addressOf(a, uint16(number))
}

// The values of version 2.
const (
	commandLocal = 0x20 // with the version
	commandProxy = 0x21

	familyNone  = 0x0
	familyInet  = 0x1
	familyInet6 = 0x2
	familyUnix  = 0x3

	transportTCP = 0x1
	transportMax = 0x2 // datagrams
)

// addressSizes are the sizes of the addresses by family, in bytes.
var addressSizes = [...]int{familyNone: 0, familyInet: 12, familyInet6: 36, familyUnix: 216}

// parseBinary reads version 2:
//
//	 0              12      13        14     16
//	+--------------+-------+---------+------+-----------+------+
//	| signature    |version|family   |length| addresses | TLVs |
//	|              |command|transport|      |           |      |
//	+--------------+-------+---------+------+-----------+------+
func parseBinary(data []byte) (client netip.AddrPort, size int, err error) {
	if len(data) < binaryMin {
		return netip.AddrPort{}, 0, nil
	}
	size = binaryMin + int(binary.BigEndian.Uint16(data[14:]))
	command, family, transport := data[12], data[13]>>4, data[13]&0xf
	switch {
	case command != commandLocal && command != commandProxy:
		return netip.AddrPort{}, 0, ErrProxyHeader
	case size > maxBinary:
		return netip.AddrPort{}, 0, ErrProxyTooBig
	case command == commandLocal: // families and addresses have no meaning
	case int(family) >= len(addressSizes) || transport > transportMax || size < binaryMin+addressSizes[family]:
		return netip.AddrPort{}, 0, ErrProxyHeader
	}
	if len(data) < size {
		return netip.AddrPort{}, 0, nil
	}
	if command == commandLocal || transport != transportTCP {
		return netip.AddrPort{}, size, nil
	}
	addresses := data[binaryMin:]
	switch family {
	case familyInet:
		client, _ = addressOf(netip.AddrFrom4([4]byte(addresses)), binary.BigEndian.Uint16(addresses[8:]))
	case familyInet6:
		client, _ = addressOf(netip.AddrFrom16([16]byte(addresses)), binary.BigEndian.Uint16(addresses[32:]))
	}
	return client, size, nil
}
