package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/stoa-io/stoa/wire"
)

// wanderer is a client that leaves and returns. Its fields are guarded by
// mu.
type wanderer struct {
	ledger *ledger
	room   int

	mu        sync.Mutex
	position  string
	id        string
	next      map[int]int64 // the expected number, by source
	seen      map[int]bool  // the sources of which it has received something since skip
	skipped   int           // how many sources there were at skip
	received  int
	visits    int
	story     string // of the visit, for complaints
	recovered int
	told      int // visits that were not recovered, and notices of gaps
	lost      int // messages that are missing although the client was not told
	repeated  int // messages that came again, or out of order
}

// wander visits random nodes until the end.
func (w *wanderer) wander(random *rand.Rand) {
	s := w.ledger.size
	for {
		w.visit(random.IntN(len(w.ledger.places)), time.Duration(random.Int64N(int64(s.here))))
		select {
		case <-w.ledger.stop:
			return
		case <-time.After(s.leastAway + time.Duration(random.Int64N(int64(s.away-s.leastAway)))):
		}
	}
}

// visit comes back, stays for a while, and vanishes.
func (w *wanderer) visit(at int, stay time.Duration) {
	c, err := w.come(at)
	if err != nil {
		return // without Redis: the join was refused, and nothing is received
	}
	defer c.close()
	select {
	case <-c.gone:
	case <-w.ledger.stop:
	case <-time.After(stay):
	}
}

func (w *wanderer) come(at int) (*client, error) {
	c, err := openClientWith(w.ledger.places[at].address(), " positions", w.receive)
	if err != nil {
		if !w.ledger.ending {
			w.ledger.t.Error(err)
		}
		return nil, err
	}
	if err := c.connect(kept); err != nil {
		c.close()
		return nil, err
	}
	w.mu.Lock()
	position, id := w.position, w.id
	w.mu.Unlock()
	// The answer is read before the messages that follow it.
	answered := make(chan error, 1)
	c.mu.Lock()
	c.onReply = func(reply string) { answered <- w.answered(reply, c.id, position != "") }
	c.mu.Unlock()
	if err := c.send("$r;" + kept + ";" + w.ledger.rooms[w.room] + ";_OnRoomRecover;0;0;" + position + ",0," + id + ";"); err != nil {
		c.close()
		return nil, err
	}
	select {
	case err = <-answered:
	case <-c.gone:
		err = c.problem()
	case <-time.After(patience):
		err = fmt.Errorf("no answer to a join within %v", patience)
		w.ledger.t.Error(err)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// answered takes the answer to a join, before the messages behind it.
func (w *wanderer) answered(reply, id string, positioned bool) error {
	m, err := wire.Parse([]byte(reply), false)
	if err != nil || m.Error {
		return fmt.Errorf("the join was answered %.200q, %v", reply, err)
	}
	answer, _, ok := wire.ParseRecoveryAnswer(m.Body)
	if !ok {
		return fmt.Errorf("the join was answered %.200q", reply)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.visits++
	w.story = fmt.Sprintf("visit %d since %s as %s from %s, answered %+v", w.visits, time.Now().Format("05.000"), id, w.position, answer)
	w.id = id
	switch {
	case answer.Recovered:
		w.recovered++
	case positioned:
		w.told++
		w.skip()
	default:
		w.skip() // the first visit begins where it comes
	}
	if answer.Count == 0 && answer.Position != "" {
		w.position = answer.Position
	}
	return nil
}

// skip lets the next number of each source that there is now be any greater
// one.
func (w *wanderer) skip() {
	w.skipped = len(w.ledger.allSources())
	clear(w.seen)
}

// maySkip reports that the next number of a source may be a greater one: the
// client has had notice.
func (w *wanderer) maySkip(source int) bool { return source < w.skipped && !w.seen[source] }

// receive takes a message of the room.
func (w *wanderer) receive(text string) {
	m, err := wire.Parse([]byte(text), false)
	if err != nil {
		w.ledger.t.Errorf("received %.200q: %v", text, err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if string(m.Event) == wire.EventHistoryGap {
		w.told++
		w.skip()
		return
	}
	if position, ok := strings.CutPrefix(string(m.Token), "@"); ok && position != "" {
		w.position = position
	} else {
		w.ledger.t.Errorf("received %.200q, want a position", text)
	}
	var from int
	var number int64
	if _, err := fmt.Sscanf(string(m.Body), "%d %d", &from, &number); err != nil {
		w.ledger.t.Errorf("received %.200q", text)
		return
	}
	w.received++
	switch next := w.next[from]; {
	case number < next:
		w.repeated++
		w.ledger.t.Errorf("%s: message %d of source %d came after %d; %s", time.Now().Format("05.000"), number, from, next-1, w.story)
	case number > next && !w.maySkip(from):
		w.lost += int(number - next)
		w.ledger.t.Errorf("%s: messages %d to %d of source %d are lost; %s", time.Now().Format("05.000"), next, number-1, from, w.story)
	}
	w.next[from] = max(w.next[from], number+1)
	w.seen[from] = true
}

// level reports whether the client has the last message of a source of its
// room, unless it had notice that some are missing.
func (w *wanderer) level(number int, published int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ledger.allSources()[number].room != w.room || w.next[number] >= published || w.maySkip(number)
}
