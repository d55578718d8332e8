package wire_test

import (
	"errors"
	"fmt"

	"github.com/stoa-io/stoa/wire"
)

func ExampleParse() {
	m, err := wire.Parse([]byte("$7;default;lobby;chat;0;0;hello; all"), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s asks %s of room %s in %s: %q\n", m.Token, m.Event, m.Room, m.Namespace, m.Body)
	// Output: $7 asks chat of room lobby in default: "hello; all"
}

func ExampleAppend() {
	m := wire.Message{
		Namespace: []byte("default"),
		Room:      []byte("red; blue"),
		Event:     []byte("chat"),
		Body:      []byte("hello; all"),
	}
	fmt.Printf("%s\n", wire.Append(nil, &m))
	// Output: ;default;red@%!semicolon@%! blue;chat;0;0;hello; all
}

func ExampleAppendError() {
	request, err := wire.Parse([]byte("$7;default;lobby;_OnRoomJoin;0;0;"), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", wire.AppendEmptyReply(nil, request.Token))
	fmt.Printf("%s\n", wire.AppendError(nil, &request, wire.ErrTooManyRooms.Error()))
	// Output:
	// $7;;;;;;
	// $7;default;lobby;_OnRoomJoin;1;0;too many rooms
}

func ExampleErrorFor() {
	answer, err := wire.Parse([]byte("$7;default;lobby;_OnRoomJoin;1;0;bad room"), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = wire.ErrorFor(string(answer.Body))
	fmt.Println(errors.Is(err, wire.ErrBadRoom), err)
	// Output: true bad room
}

func ExampleLimits_Parse() {
	limits := wire.Limits{Room: 5}
	_, err := limits.Parse([]byte(";default;lobby!;chat;0;0;hello"), false)
	fmt.Println(err)
	// Output: name too long
}

func ExampleCode() {
	for _, code := range []wire.Code{wire.CodeSlowConsumer, wire.CodeInvalidFlood, 4999} {
		fmt.Println(code, code.Label(), code.Retry())
	}
	// Output:
	// slow consumer slow_consumer true
	// invalid payload flood invalid_payload_flood false
	// code 4999 other true
}
