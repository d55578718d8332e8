package redisbroker

const (
	// dedupeWindow is how far behind the newest number of an origin a message may
	// come and still be told from a repeat. Only what is kept and what one pipeline
	// holds is ever sent again, and nothing behind it leaves before that is
	// acknowledged.
	dedupeWindow = maxKept + maxPipeline
	dedupeWords  = dedupeWindow / 64

	// maxOrigins bounds the memory for nodes that are gone: an origin is forgotten
	// when so many others have been heard since.
	maxOrigins = 4096
)

// originKey is one life of a node.
type originKey struct {
	incarnation uint64
	node        string
}

// dedupe drops messages that arrive for the second time on a server. It belongs to
// the read loop of the server's subscription.
//
// It remembers exactly which of the last numbers of an origin came, not only the
// highest: a node that subscribed again in between may have missed a message whose
// successor in another channel it received, and then gets it with the repetition.
type dedupe struct {
	origins map[originKey]*originWindow
	clock   uint64 // messages so far; orders origins by when they were last heard
	// missed is how many numbers were skipped across interruptions.
	missed uint64
}

type originWindow struct {
	highest     uint64
	seen        [dedupeWords]uint64 // bit n%window: number n was seen
	heard       uint64              // dedupe.clock
	interrupted bool                // nothing came since the subscription was lost
}

// accept is false if the message was seen before. A number of 0 is always new.
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

// remember makes a window that ends before the number. key's name is copied: it is
// part of a message.
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

// interrupt says that messages may be missing from now on.
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

// advance makes number the highest and forgets what falls out of the window.
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
