package node

// Access to unexported state for the tests of handlers.

// HandlerCount returns how many calls of a kind of handler had this result.
func HandlerCount(n *Node, kind HandlerKind, result HandlerResult) (count uint64) {
	for _, l := range n.loops {
		count += l.handlers.counts[kind][result].Load()
	}
	return count
}

// Waiting returns how many connections wait for a namespace's limiter.
func Waiting(n *Node, namespace string) int { return len(n.namespaces[namespace].limit.Waiting()) }

// whilePaused calls look while the loop is between two items of its inbox.
func (l *loop) whilePaused(look func()) {
	before, after := make(chan LoopStats), make(chan LoopStats)
	l.inbox.mu.Lock()
	if l.inbox.closed {
		l.inbox.mu.Unlock()
		return
	}
	l.inbox.items = append(l.inbox.items,
		item{kind: itemStats, errand: &errand{stats: before}}, item{kind: itemStats, errand: &errand{stats: after}})
	l.inbox.mu.Unlock()
	l.poller.wake()
	<-before
	look()
	<-after
}

// MailFull reports whether a connection is paused because too much is queued for it.
func MailFull(n *Node, id string) (full bool) {
	p, s, _ := parseConnID(n.config.ID, id)
	l := n.loops[p.loop()]
	l.whilePaused(func() {
		c := l.find(p, s)
		full = c != nil && c.flags&flagMailFull != 0
	})
	return full
}

// MailboxAfter is for how many letters a mailbox has room after so many of which
// never more than ten waited.
func MailboxAfter(letters int) int {
	c := &conn{loop: &loop{limits: &Limits{Mailbox: -1}}}
	for i := range letters {
		c.putMail([]byte("x"), false)
		if i >= 10 {
			c.mail.letters[c.mail.next] = letter{}
			c.mail.next++
		}
	}
	return cap(c.mail.letters)
}

// Acknowledged is when the first connection of a node was acknowledged, as far as
// its handle knows, and the node's clock.
func Acknowledged(n *Node) (at, now uint32) {
	for _, l := range n.loops {
		l.whilePaused(func() {
			for _, c := range l.conns {
				if c != nil && c.handle != nil {
					at = c.handle.acked
				}
			}
		})
	}
	return at, n.elapsed()
}
