package redisbroker

const (
	// dedupeWindow is how far a message may be behind the newest number of its
	// origin while dedupe still recognizes a repeat. Only the kept messages and
	// one pipeline are ever sent again, and no later message leaves before they
	// are acknowledged.
	dedupeWindow = maxKept + maxPipeline
	dedupeWords  = dedupeWindow / 64

	// maxOrigins bounds the memory for nodes that have left: an origin is
	// forgotten after messages of this many others.
	maxOrigins = 4096
)

// originKey is one life of a node.
type originKey struct {
	incarnation uint64
	node        string
}

// dedupe drops messages that arrive for the second time over a server. It
// belongs to the read loop of the server's subscription.
//
// It remembers exactly which of the last numbers of an origin have arrived, not
// only the highest. A node that subscribed again in between may have missed a
// message and received its successor on another channel; the repetition then
// brings the missed one.
type dedupe struct {
	origins map[originKey]*originWindow
	clock   uint64 // messages so far; orders origins by when they were last heard
	// missed is the count of numbers that were skipped across interruptions.
	missed uint64
}

type originWindow struct {
	highest     uint64
	seen        [dedupeWords]uint64 // bit n%window: number n was seen
	heard       uint64              // dedupe.clock
	interrupted bool                // no message since the subscription was lost
}

// accept returns false if the message was seen before. A number of 0 is always
// new.
func (d *dedupe) accept(s *header) bool {
	if s.number == 0 {
		return true
	}
	d.clock++
	key := originKey{incarnation: s.incarnation, node: s.node}
	w := d.origins[key]
	if w == nil {
		w = d.remember(key, s.number)
	}
	w.heard = d.clock
	if w.interrupted {
		w.interrupted = false
		if s.number > w.highest {
			d.missed += s.number - w.highest - 1
		}
	}
	return w.accept(s.number)
}

// remember makes a window that ends before the number. It copies the name in
// key, which is part of a message.
func (d *dedupe) remember(key originKey, number uint64) *originWindow {
	if d.origins == nil {
		d.origins = make(map[originKey]*originWindow)
	}
	if len(d.origins) >= maxOrigins {
		d.forgetOldest()
	}
	key.node = string([]byte(key.node))
	w := &originWindow{highest: number - 1}
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
