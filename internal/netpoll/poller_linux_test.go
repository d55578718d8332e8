package netpoll

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// far is a deadline that no test reaches: a call that waits for it hangs until
// the timeout of go test.
func far() time.Time { return time.Now().Add(time.Hour) }

func startPoller(t *testing.T) *Poller {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

// pair returns two connected sockets; the poller watches the first.
func pair(t *testing.T, p *Poller, slot int32, generation uint32) (watched, other int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Close(fds[0])
		_ = syscall.Close(fds[1])
	})
	if err := p.Add(fds[0], slot, generation); err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

// park waits as a loop does when it has nothing to do.
func park(t *testing.T, p *Poller, deadline time.Time) []Event {
	t.Helper()
	p.Sleep()
	events, err := p.Wait(nil, true, deadline)
	if err != nil {
		t.Errorf("wait: %v", err)
	}
	return events
}

// awaitEvent parks until there is an event.
func awaitEvent(t *testing.T, p *Poller) Event {
	t.Helper()
	for !t.Failed() {
		if events := park(t, p, far()); len(events) > 0 {
			return events[0]
		}
	}
	return Event{}
}

func send(t *testing.T, fd int) {
	t.Helper()
	if _, err := syscall.Write(fd, []byte("x")); err != nil {
		t.Fatal(err)
	}
}

func TestPollerWakeBeforeWait(t *testing.T) {
	p := startPoller(t)
	for range 1000 {
		p.Sleep()
		p.Wake()
		if _, err := p.Wait(nil, true, far()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPollerWakeDuringWait(t *testing.T) {
	p := startPoller(t)
	for range 1000 {
		woken := make(chan struct{})
		p.Sleep()
		go func() { p.Wake(); close(woken) }()
		if _, err := p.Wait(nil, true, far()); err != nil {
			t.Fatal(err)
		}
		<-woken
	}
}

// A wake while the loop works costs nothing and is not remembered: the loop
// looks for work itself before it parks.
func TestPollerWakeWhileAwake(t *testing.T) {
	p := startPoller(t)
	p.Wake()
	events, err := p.Wait(nil, true, time.Now().Add(-time.Second))
	if err != nil || len(events) != 0 {
		t.Errorf("got %v, %v; want nothing", events, err)
	}
}

// Work that is handed over as an inbox does it is never left lying, however the
// wake falls between the loop's last look and its parking.
func TestPollerLosesNoWake(t *testing.T) {
	const producers, each = 4, 5000
	p := startPoller(t)
	var mu sync.Mutex
	posted := 0
	var group sync.WaitGroup
	for range producers {
		group.Go(func() {
			for range each {
				mu.Lock()
				posted++
				mu.Unlock()
				p.Wake()
			}
		})
	}
	waits := 0
	for taken := 0; taken < producers*each; waits++ {
		p.Sleep()
		mu.Lock()
		waiting := posted > taken
		mu.Unlock()
		if _, err := p.Wait(nil, !waiting, far()); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		taken = posted
		mu.Unlock()
	}
	group.Wait()
	if waits == 0 {
		t.Error("never waited")
	}
}

// Sockets and wakes together: each byte is seen, though events are reported
// once.
func TestPollerLosesNoEvent(t *testing.T) {
	const sockets, each = 8, 500
	p := startPoller(t)
	var watched, others [sockets]int
	for i := range sockets {
		watched[i], others[i] = pair(t, p, int32(i), uint32(i))
	}
	var stop atomic.Bool
	var group sync.WaitGroup
	group.Go(func() {
		for !stop.Load() {
			p.Wake()
		}
	})
	group.Go(func() {
		for range each {
			for _, fd := range others {
				for {
					if _, err := syscall.Write(fd, []byte("x")); err == nil {
						break
					}
				}
			}
		}
	})
	buffer := make([]byte, 16)
	for received := 0; received < sockets*each && !t.Failed(); {
		for _, ev := range park(t, p, far()) {
			if ev.Flags&Readable == 0 {
				continue
			}
			for {
				n, err := syscall.Read(watched[ev.Slot], buffer)
				if err != nil {
					break
				}
				received += n
			}
		}
	}
	stop.Store(true)
	group.Wait()
}

func TestPollerDeadlines(t *testing.T) {
	p := startPoller(t)
	_, other := pair(t, p, 1, 1)
	if ev := awaitEvent(t, p); ev.Flags != Writable {
		t.Errorf("first event has flags %b, want writable", ev.Flags)
	}
	for round := range 3 {
		// Passed before the wait, and passing during it; the same one again.
		for _, deadline := range []time.Time{time.Now().Add(-time.Hour), time.Now().Add(2 * time.Millisecond)} {
			for range 2 {
				if events := park(t, p, deadline); len(events) != 0 {
					t.Fatalf("round %d: events %v, want none by the deadline", round, events)
				}
				if time.Now().Before(deadline) {
					t.Fatalf("round %d: woke before the deadline", round)
				}
			}
		}
		// A passed deadline does not hide an event.
		send(t, other)
		if events := park(t, p, time.Now().Add(-time.Second)); len(events) != 1 || events[0].Flags&Readable == 0 {
			t.Fatalf("round %d: events %v after a passed deadline, want one readable", round, events)
		}
		// No deadline, after one: an event ends the wait.
		written := make(chan struct{})
		go func() {
			defer close(written)
			_, _ = syscall.Write(other, []byte("x"))
		}()
		p.Sleep()
		events, err := p.Wait(nil, true, time.Time{})
		if err != nil || len(events) != 1 {
			t.Fatalf("round %d: events %v, %v without a deadline; want one", round, events, err)
		}
		<-written
	}
}

func TestPollerWithoutPark(t *testing.T) {
	p := startPoller(t)
	_, other := pair(t, p, 3, 4)
	awaitEvent(t, p)
	if events, err := p.Wait(nil, false, time.Time{}); err != nil || len(events) != 0 {
		t.Errorf("events %v, %v; want none", events, err)
	}
	send(t, other)
	events, err := p.Wait(nil, false, time.Time{})
	if err != nil || len(events) != 1 || events[0] != (Event{Slot: 3, Generation: 4, Flags: Readable | Writable}) {
		t.Errorf("events %v, %v; want one for slot 3, generation 4", events, err)
	}
}

// More events than one wait returns: the rest comes with the next, although
// nothing happens any more.
func TestPollerManyEvents(t *testing.T) {
	const sockets = MaxEvents + 44
	p := startPoller(t)
	for i := range sockets {
		pair(t, p, int32(i), 0)
	}
	seen := make(map[int32]bool)
	for len(seen) < sockets && !t.Failed() {
		for _, ev := range park(t, p, far()) {
			seen[ev.Slot] = true
		}
	}
}

func TestPollerHangup(t *testing.T) {
	p := startPoller(t)
	_, other := pair(t, p, 1, 1)
	awaitEvent(t, p)
	if err := syscall.Shutdown(other, syscall.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if ev := awaitEvent(t, p); ev.Flags&(Readable|HungUp) != Readable|HungUp {
		t.Errorf("flags %b after the peer's end, want readable and hangup", ev.Flags)
	}
}

func TestPollerRemove(t *testing.T) {
	p := startPoller(t)
	watched, other := pair(t, p, 1, 1)
	awaitEvent(t, p)
	if err := p.Remove(watched); err != nil {
		t.Fatal(err)
	}
	send(t, other)
	if events, err := p.Wait(nil, false, time.Time{}); err != nil || len(events) != 0 {
		t.Errorf("events %v, %v of a removed socket; want none", events, err)
	}
}

// A wake during or after the close of the poller must not write into a
// descriptor that has been reused.
func TestPollerWakeAfterClose(t *testing.T) {
	for range 1000 {
		p, err := New()
		if err != nil {
			t.Fatal(err)
		}
		p.Sleep()
		var wakers sync.WaitGroup
		for range 3 {
			wakers.Go(func() {
				for range 20 {
					p.Wake()
				}
			})
		}
		// The deadline ends the wait, so that the wake may come behind it.
		if _, err := p.Wait(nil, true, time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		read, write, err := os.Pipe() // takes the descriptors that have become free
		if err != nil {
			t.Fatal(err)
		}
		wakers.Wait()
		if err := write.Close(); err != nil {
			t.Fatal(err)
		}
		if n, _ := read.Read(make([]byte, 8)); n != 0 {
			t.Fatalf("%d bytes of a wake in a pipe", n)
		}
		_ = read.Close()
	}
}
