package node

// HandlerStats is what the program's handlers have done and do. It goes on when
// the loops have ended: some handlers hear of the end.
type HandlerStats struct {
	// State.
	Running int // calls that have not returned
	InLine  int // connections that wait until their namespace may run one more handler
	Bytes   int // of the messages that are handled or wait for that, overhead included

	// Calls that have returned, by kind and result. Those of HandlerNone are not
	// counted.
	Calls [handlerKinds][handlerResults]uint64
}

// handlerStats gathers a snapshot. It stops nothing: what starts or ends
// meanwhile may be in it or not.
func (n *Node) handlerStats() HandlerStats {
	var s HandlerStats
	for _, l := range n.loops {
		l.workers.addTo(&s)
	}
	n.mu.Lock()
	limiters := make([]*limiter, 0, len(n.namespaces))
	for _, ns := range n.namespaces {
		if ns.limit != nil {
			limiters = append(limiters, ns.limit)
		}
	}
	n.mu.Unlock()
	for _, l := range limiters {
		l.addTo(&s)
	}
	return s
}

// addTo adds the workers that are at work, and what has been counted.
func (ws *workers) addTo(s *HandlerStats) {
	for kind := range ws.counts {
		for result := range ws.counts[kind] {
			s.Calls[kind][result] += ws.counts[kind][result].Load()
		}
	}
	ws.mu.Lock()
	// A worker's lock comes before this one.
	active := make([]*worker, 0, len(ws.active))
	for w := range ws.active {
		active = append(active, w)
	}
	s.Running += len(ws.accepting)
	ws.mu.Unlock()
	for _, w := range active {
		w.addTo(s)
	}
}

// addTo adds the workers in line.
func (l *limiter) addTo(s *HandlerStats) {
	l.mu.Lock()
	waiting := append([]*worker(nil), l.waiting...)
	l.mu.Unlock()
	s.InLine += len(waiting)
	for _, w := range waiting {
		w.addTo(s)
	}
}

func (w *worker) addTo(s *HandlerStats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Bytes += w.bytes
	if w.current != nil && w.current.kind != HandlerNone {
		s.Running++
	}
}
