package cluster_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// talk sends a message from each to the other and waits until they are there.
func talk(t testing.TB, a, b *listener, room, text string) {
	t.Helper()
	for _, way := range []struct {
		name     string
		from, to *listener
	}{{"there", a, b}, {"back", b, a}} {
		message := emit(namespace, room, "said", text+" "+way.name)
		if err := way.from.send(message); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "the message "+message+" is received", func() bool {
			if err := way.to.problem(); err != nil {
				t.Fatalf("the connection of the receiver has ended: %v", err)
			}
			return slices.Contains(way.to.messages(), message)
		})
	}
}

// TestProgramFollowsSentinels: two nodes get only the URL of the Sentinels.
// Messages that are sent without a master arrive when there is one.
func TestProgramFollowsSentinels(t *testing.T) {
	t.Parallel()
	group := redistest.StartGroup(t, "mymaster")
	one, two := startProgram(t, "one", "--redis", group.URL()), startProgram(t, "two", "--redis", group.URL())
	programs := []*program{one, two}
	for _, p := range programs {
		p.awaitReady(t, http.StatusOK)
	}
	a, b := enterRoom(t, one.address, "r"), enterRoom(t, two.address, "r")
	talk(t, a, b, "r", "before")
	group.Master.Kill()
	for _, p := range programs {
		p.awaitReady(t, http.StatusServiceUnavailable)
	}
	during := emit(namespace, "r", "said", "during")
	if err := a.send(during); err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		p.awaitReady(t, http.StatusOK)
	}
	talk(t, a, b, "r", "after")
	want := []string{emit(namespace, "r", "said", "before there"), during, emit(namespace, "r", "said", "after there")}
	if got := b.messages(); !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
	for _, p := range programs {
		p.stop(t)
	}
}
