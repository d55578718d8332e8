package closecode_test

import (
	"testing"

	"github.com/stoa-io/stoa/internal/closecode"
)

func TestSendable(t *testing.T) {
	for code, want := range map[uint16]bool{
		0: false, 999: false, 1000: true, 1003: true, 1004: false, 1005: false, 1006: false,
		1007: true, 1011: true, 1012: true, 1014: true, 1015: false, 2999: false,
		3000: true, 4000: true, 4999: true, 5000: false, 65535: false,
	} {
		if got := closecode.Sendable(code); got != want {
			t.Errorf("Sendable(%d) = %v, want %v", code, got, want)
		}
	}
}
