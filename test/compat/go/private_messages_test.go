package compat_test

import (
	"errors"
	"testing"

	"github.com/kataras/neffos"
)

// receive waits for a message, and not for ever.
func receive(t *testing.T, messages <-chan string) string {
	t.Helper()
	select {
	case message := <-messages:
		return message
	case <-within(t).Done():
		t.Fatal("no message has arrived")
		return ""
	}
}

func TestExamplePrivateMessages(t *testing.T) {
	program := runBinary(t, buildExample(t, "private-messages"))
	// person enters under a name and answers every message with the given text.
	person := func(name string, answer error) (*person, *neffos.NSConn, chan string) {
		messages := make(chan string, 10)
		p, ns := enter(t, name, program.url("?user="+name), "private", nil, neffos.Events{
			"message": func(_ *neffos.NSConn, m neffos.Message) error {
				messages <- string(m.Body)
				return answer
			},
		})
		p.awaitSystem(t, neffos.OnRoomJoined+" user:"+name)
		return p, ns, messages
	}
	type letter struct {
		To   string `json:"to"`
		Text string `json:"text"`
	}
	const fromAda = `{"from":"ada","text":"hello; you"}`

	ada, adaNS, adaMessages := person("ada", neffos.Reply([]byte("seen")))
	_, _, first := person("ben", neffos.Reply([]byte("seen by ben")))
	_, _, second := person("ben", neffos.Reply([]byte("seen by ben")))
	_, _, _ = person("cai", errors.New("do not disturb"))

	t.Run("a room per user", func(t *testing.T) {
		if answer, err := ada.ask(t, adaNS, "send", letter{"ben", "hello; you"}); err != nil || answer != "seen by ben" {
			t.Fatalf("answered %q, %v; want the confirmation", answer, err)
		}
		for i, messages := range []chan string{first, second} {
			if got := receive(t, messages); got != fromAda {
				t.Errorf("connection %d of ben got %q, want %q", i+1, got, fromAda)
			}
		}
	})
	t.Run("a directory", func(t *testing.T) {
		if answer, err := ada.ask(t, adaNS, "whisper", letter{"ben", "hello; you"}); err != nil || answer != "seen by ben" {
			t.Fatalf("answered %q, %v; want the confirmation", answer, err)
		}
		if got := receive(t, second); got != fromAda {
			t.Errorf("the latest connection of ben got %q, want %q", got, fromAda)
		}
		if len(first) != 0 {
			t.Errorf("the earlier connection of ben got %q, want nothing", <-first)
		}
	})
	t.Run("without confirmation", func(t *testing.T) {
		for _, event := range []string{"note", "murmur"} {
			ada.socket.quiet(t)
			adaNS.Emit(event, []byte(`{"to":"ben","text":"hello; you"}`))
			if got := receive(t, second); got != fromAda {
				t.Errorf("%s: ben got %q, want %q", event, got, fromAda)
			}
		}
	})
	t.Run("errors", func(t *testing.T) {
		for _, event := range []string{"send", "whisper"} {
			if _, err := ada.ask(t, adaNS, event, letter{"cai", "x"}); err == nil || err.Error() != "do not disturb" {
				t.Errorf("%s to cai: %v, want what cai has answered", event, err)
			}
			if _, err := ada.ask(t, adaNS, event, letter{"dan", "x"}); err == nil || err.Error() != "the user is not here" {
				t.Errorf("%s to an unknown user: %v, want that the user is not here", event, err)
			}
			if _, err := ada.ask(t, adaNS, event, 7); err == nil {
				t.Errorf("%s with a body of another type: no error", event)
			}
		}
		ada.socket.quiet(t)
		if _, err := adaNS.JoinRoom(within(t), "user:ben"); err == nil || err.Error() != "forbidden" {
			t.Errorf("JoinRoom of another's room: %v, want forbidden", err)
		}
		if len(adaMessages) != 0 {
			t.Errorf("ada got %q, want nothing", <-adaMessages)
		}
	})
}
