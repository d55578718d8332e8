//go:build linux

package probe

import "testing"

func TestResponseSize(t *testing.T) {
	response := "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"
	if got, err := responseSize([]byte(response)); err != nil || got != len(response) {
		t.Errorf("responseSize: %v, %v; want %d", got, err, len(response))
	}
}
