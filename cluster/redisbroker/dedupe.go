package redisbroker

const (
	// dedupeWindow is how far a message may be behind the newest number of its
	// origin while dedupe still recognizes a repeat. Only the kept messages and
	// one pipeline are ever sent again, and no later message leaves before they
	// are acknowledged.
	dedupeWindow = maxKept + maxPipeline
	dedupeWords  = dedupeWindow / 64

	// maxAhead is how far a number may be ahead of the newest one of its
	// origin. A node that publishes a million messages per second takes nine
	// years to get there.
	maxAhead = 1 << 48

	// maxOrigins bounds the memory for nodes that have left: an origin is
	// forgotten after messages of this many others.
	maxOrigins = 4096
)

// originKey is one life of a node.
type originKey struct {
	incarnation uint64
	node        string
}

// verdict is the result for one message.
type verdict uint8

const (
	verdictNew verdict = iota + 1
	verdictRepeat
	verdictBadNumber // no node can have reached this number
)

// dedupe drops messages that arrive for the second time over a server. It
// belongs to the read loop of the server's subscription.
//
// It remembers exactly which of the last numbers of an origin have arrived, not
// only the highest. A node that subscribed again in between may have missed a
// message and received its successor on another channel; the repetition then
// brings the missed one.
//
// One wrong number must not turn the later ones of its origin into repeats. So
// a number far ahead of the window is accepted, but moves the window only when
// a second number confirms it.
type dedupe struct {
	origins map[originKey]*originWindow
	clock   uint64 // messages so far; orders origins by when they were last heard
	// missed is the count of numbers that were skipped across interruptions.
	missed uint64
}

type originWindow struct {
	highest     uint64
	seen        [dedupeWords]uint64 // bit n%window: number n was seen
	ahead       uint64              // a number far ahead that is not confirmed; 0: none
	heard       uint64              // dedupe.clock
	interrupted bool                // no message since the subscription was lost
}

// accept decides about a message. A number of 0 is always new.
func (d *dedupe) accept(s *header) verdict {
	if s.number == 0 {
		return verdictNew
	}
	key := originKey{incarnation: s.incarnation, node: s.node}
	w := d.origins[key]
	highest := uint64(0)
	if w != nil {
		highest = w.highest
	}
	if s.number > highest && s.number-highest > maxAhead {
		return verdictBadNumber
	}
	if w == nil {
		w = d.remember(key)
	}
	d.clock++
	w.heard = d.clock
	if w.confirms(s.number) {
		d.move(w, w.ahead)
		w.accept(w.ahead)
		w.ahead = 0
	}
	switch {
	case s.number == w.ahead:
		return verdictRepeat
	case w.isAhead(s.number):
		w.ahead = s.number
		return verdictNew
	}
	d.move(w, s.number)
	w.ahead = 0
	if !w.accept(s.number) {
		return verdictRepeat
	}
	return verdictNew
}

// move counts the numbers before this one that an interruption has skipped.
func (d *dedupe) move(w *originWindow, number uint64) {
	if w.interrupted && number > w.highest {
		d.missed += number - w.highest - 1
	}
	w.interrupted = false
}

// isAhead returns true if the number is far ahead of the window.
func (w *originWindow) isAhead(number uint64) bool {
	return number > w.highest && number-w.highest > dedupeWindow
}

// confirms returns true if a number shows that ahead was right: it is another
// one near or above it.
func (w *originWindow) confirms(number uint64) bool {
	return w.ahead != 0 && number != w.ahead && w.isAhead(number) && number+dedupeWindow > w.ahead
}

// remember makes a window before the first number. It copies the name in key,
// which is part of a message.
func (d *dedupe) remember(key originKey) *originWindow {
	if d.origins == nil {
		d.origins = make(map[originKey]*originWindow)
	}
	if len(d.origins) >= maxOrigins {
		d.forgetOldest()
	}
	key.node = string([]byte(key.node))
	w := &originWindow{}
	d.origins[key] = w
	return w
}

func (d *dedupe) forgetOldest() {
	var oldest originKey
	first := true
	for key, w := range d.origins {
		if first || w.heard < d.origins[oldest].heard {
			oldest, first = key, false
		}
	}
	delete(d.origins, oldest)
}

// interrupt records that messages may be missing from now on.
func (d *dedupe) interrupt() {
	for _, w := range d.origins {
		w.interrupted = true
	}
}

func (w *originWindow) accept(number uint64) bool {
	word, bit := number%dedupeWindow/64, uint64(1)<<(number%64)
	switch {
	case number > w.highest:
		w.advance(number)
	case w.highest-number >= dedupeWindow || w.seen[word]&bit != 0:
		return false
	}
	w.seen[word] |= bit
	return true
}

// advance makes number the highest and forgets the numbers that leave the
// window.
func (w *originWindow) advance(number uint64) {
	if number-w.highest >= dedupeWindow {
		w.seen = [dedupeWords]uint64{}
	} else {
		for n := w.highest; n != number; {
			n++
			w.seen[n%dedupeWindow/64] &^= 1 << (n % 64)
		}
	}
	w.highest = number
}
