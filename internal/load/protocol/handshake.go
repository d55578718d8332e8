package protocol

import (
	"bytes"
	"fmt"
)

// The opening handshake uses the example key of RFC 6455, so the accept value
// is a constant too.
const (
	upgradeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	upgradeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

	// Endpoint is the path of the WebSocket endpoint in stoa's demo
	// configuration.
	Endpoint = "/ws"
)

// UpgradeResponse answers any UpgradeRequest.
const UpgradeResponse = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: " + upgradeAccept + "\r\n\r\n"

// UpgradeRequest returns the request that opens a WebSocket on host, with a
// bearer token unless it is empty.
func UpgradeRequest(host, token string) []byte {
	if token != "" {
		token = "Authorization: Bearer " + token + "\r\n"
	}
	return []byte("GET " + Endpoint + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + upgradeKey + "\r\nSec-WebSocket-Version: 13\r\n" + token + "\r\n")
}

// ParseUpgrade returns the size of the response to an UpgradeRequest, or zero
// if the response is incomplete.
func ParseUpgrade(data []byte) (int, error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	head := data[:end]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) || !bytes.Contains(head, []byte(": "+upgradeAccept)) {
		return 0, fmt.Errorf("protocol: unexpected response to the upgrade: %q", head)
	}
	return end + 4, nil
}
