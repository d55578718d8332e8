package wire_test

import (
	"errors"
	"testing"

	"github.com/stoa-io/stoa/wire"
)

func TestCheckOutgoing(t *testing.T) {
	for _, names := range [][3]string{{"\xff", "", "e"}, {"", "\xff", "e"}, {"", "", "\xff"}, {"a", "r", wire.EventRoomJoin}} {
		if err := wire.CheckOutgoing(names[0], names[1], names[2]); !errors.Is(err, wire.ErrInvalidName) {
			t.Errorf("%q: %v, want %v", names, err, wire.ErrInvalidName)
		}
	}
	if err := wire.CheckOutgoing("a;b", "ϟ", ""); err != nil {
		t.Errorf("good names: %v, want nil", err)
	}
}
