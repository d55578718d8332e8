package testkit

import (
	"testing"
	"time"
)

// Patience bounds every wait. It is long because other tests slow the machine
// down; only a failing test needs it.
const Patience = 60 * time.Second

// pollPause is the time between two looks at a condition.
const pollPause = time.Millisecond

// Eventually waits until the condition holds, and fails the test otherwise.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	EventuallyWithin(t, what, Patience, condition)
}

// EventuallyWithin is Eventually with a limit that is part of the expectation.
func EventuallyWithin(t testing.TB, what string, limit time.Duration, condition func() bool) {
	t.Helper()
	if !wait(limit, condition) {
		t.Fatalf("not within %v: %s", limit, what)
	}
}

// Wait waits until the condition holds, and reports false if it never did.
func Wait(condition func() bool) bool { return wait(Patience, condition) }

func wait(limit time.Duration, condition func() bool) bool {
	deadline := time.Now().Add(limit)
	poll := time.NewTicker(pollPause)
	defer poll.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			return false
		}
		<-poll.C
	}
	return true
}
